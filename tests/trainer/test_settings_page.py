from tests.trainer.settings_page import PAGE, page


def test_the_page_of_settings_is_what_is_declared() -> None:
    assert PAGE.read_text() == page(), "python -m tests.trainer.settings_page"
