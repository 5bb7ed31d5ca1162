"""The page in a real browser, where there is one: what a person does with it, and what it never loads."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.packages import make_package
from tests.serving.server.running import Server, picture, serving

DRIVER = shutil.which("chromedriver")
PHONE, DESK = (390, 844), (1100, 900)
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")

pytestmark = pytest.mark.skipif(
    DRIVER is None, reason="needs Chromium and chromedriver (apt-get install chromium-driver)"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("page")
    with serving(make_package(place / "package"), place, max_body=100_000) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(server: Server, browser: Any) -> Any:
    """The page, just opened."""
    browser.set_window_size(*DESK)
    browser.get(f"http://127.0.0.1:{server.port}/")
    until(browser, lambda: "was right on" in text(browser, "#about"))
    return browser


def until(browser: Any, holds: Callable[[], object]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 10).until(lambda _: holds())


def all_of(browser: Any, selector: str) -> list[Any]:
    return list(browser.find_elements("css selector", selector))


def text(browser: Any, selector: str) -> str:
    return str(browser.find_element("css selector", selector).text)


def choose(browser: Any, *paths: Path) -> None:
    browser.find_element("id", "files").send_keys("\n".join(str(path) for path in paths))


def written(folder: Path, **contents: bytes) -> list[Path]:
    paths = [folder / name.replace("_", ".") for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return paths


def test_it_says_which_model_answers_and_how_good_it_is(page: Any) -> None:
    about = text(page, "#about")

    assert "answers with one of 2 classes" in about
    assert "right on 90.0 % of 200 test images (95 % interval: 85.0 % to 95.0 %)" in about
    assert not page.find_element("id", "access").is_displayed()


def test_chosen_images_are_shown_with_their_classes_as_bars(page: Any, tmp_path: Path) -> None:
    choose(page, *written(tmp_path, night_png=picture(0), noon_jpg=picture(255, kind="JPEG")))

    until(page, lambda: len(all_of(page, ".classes li")) == 4)
    cards = {card.find_element("css selector", "h3").text: card for card in all_of(page, ".card")}
    assert cards.keys() == {"night.png", "noon.jpg"}
    noon = cards["noon.jpg"]
    assert noon.find_element("css selector", ".verdict").text == "bright"
    assert noon.find_element("css selector", "img").get_attribute("alt") == "noon.jpg: bright"
    assert page.execute_script("return arguments[0].naturalWidth", noon.find_element("css selector", "img")) == 8
    widths = [bar.size["width"] for bar in noon.find_elements("css selector", ".fill")]
    track = noon.find_element("css selector", ".track").size["width"]
    assert widths[0] > 0.99 * track > 100
    assert widths[1] < 0.05 * track
    shares = [float(each.text.split()[0]) for each in noon.find_elements("css selector", ".percent")]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    news = page.find_element("id", "news").get_attribute("textContent")
    assert "noon.jpg: bright, 99.8" in news
    assert "night.png: dark, 99.8" in news


def test_a_text_file_that_is_called_jpg_is_told_as_what_it_is(page: Any, tmp_path: Path) -> None:
    (path,) = written(tmp_path, notes_jpg=b"these are notes")
    choose(page, path)

    until(page, lambda: text(page, ".verdict") == "The image is no JPEG, PNG, WebP, BMP, GIF or TIFF image.")
    assert "wrong" in page.find_element("css selector", ".card").get_attribute("class")


def test_a_file_that_is_too_large_is_not_sent(page: Any, tmp_path: Path) -> None:
    choose(page, *written(tmp_path, huge_png=b"x" * 100_001))

    until(page, lambda: text(page, ".verdict") == "It is larger than 0.1 MB, the most that this server takes.")


def test_names_are_text_and_never_markup(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=document.title='hit'>.png"
    path.write_bytes(picture(0))
    choose(page, path)

    until(page, lambda: text(page, ".verdict") == "dark")
    assert text(page, "h3") == path.name
    assert page.title == "Classify images"


def test_dropped_images_are_taken_and_all_are_cleared(page: Any) -> None:
    page.execute_script(
        """
        const bytes = Uint8Array.from(arguments[0]);
        const data = new DataTransfer();
        data.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        """,
        list(picture(255)),
    )
    until(page, lambda: text(page, ".verdict") == "bright")

    page.find_element("id", "clear").click()

    assert not all_of(page, ".card")
    assert page.switch_to.active_element.get_attribute("id") == "files"


def test_the_keyboard_reaches_everything_and_focus_is_seen(page: Any, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains, Keys

    choose(page, *written(tmp_path, a_png=picture(0)))
    until(page, lambda: text(page, ".verdict") == "dark")
    page.execute_script("document.activeElement.blur()")
    reached = []
    for _ in range(2):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.switch_to.active_element.get_attribute("id"))
        outline = "getComputedStyle(document.activeElement.nextElementSibling ?? document.activeElement).outlineStyle"
        assert page.execute_script(f"return {outline}") == "solid"
    assert reached == ["files", "clear"]


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_a_phone(page: Any, tmp_path: Path, width: int) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        path = tmp_path / f"{'a-long-name' * 12}.png"
        path.write_bytes(picture(0))
        choose(page, path)
        until(page, lambda: text(page, ".verdict") == "dark")

        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_comes_from_elsewhere_and_nothing_is_complained_of(page: Any, server: Server, tmp_path: Path) -> None:
    page.get_log("browser")
    page.get_log("performance")
    page.refresh()
    choose(page, *written(tmp_path, a_png=picture(0)))
    until(page, lambda: text(page, ".verdict") == "dark")

    assert not page.get_log("browser")
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert len(asked) > 4
    home = f"http://127.0.0.1:{server.port}/"
    assert not [url for url in asked if not url.startswith((home, f"blob:{home}"))]


def test_a_server_with_a_token_lets_in_who_has_it(browser: Any, tmp_path: Path) -> None:
    token = "s3cret-and-long-enough"
    with serving(make_package(tmp_path / "package"), tmp_path, token=token) as guarded:
        browser.get(f"http://127.0.0.1:{guarded.port}/")
        until(browser, lambda: browser.find_element("id", "access").is_displayed())
        (path,) = written(tmp_path, a_png=picture(0))
        choose(browser, path)
        until(browser, lambda: "token" in text(browser, ".verdict"))
        browser.find_element("id", "token").send_keys(token)
        browser.find_element("css selector", "#access button").click()
        browser.find_element("id", "clear").click()
        choose(browser, path)
        until(browser, lambda: text(browser, ".verdict") == "dark")
        assert not browser.find_element("id", "access").is_displayed()
