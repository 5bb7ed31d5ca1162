"use strict";

const SHOWN = 5; // classes of an image
const AT_ONCE = 4; // requests under way
const PATIENCE = 5; // times that a busy server is asked again
const SMALL = 64; // pixels a side below which a picture is shown in squares

const at = (id) => document.getElementById(id);
const waiting = [];
let underWay = 0;
let token = "";
let mostBytes = Infinity;

const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
const access = () => (token ? { Authorization: `Bearer ${token}` } : {});

async function describe() {
  let model;
  try {
    model = await (await fetch("model")).json();
  } catch {
    at("about").textContent = "The server does not answer.";
    return;
  }
  const [accuracy, low, high] = model.accuracy;
  const version = model.version === null ? "" : `, version ${model.version},`;
  at("about").textContent =
    `${model.model}${version} answers with one of ${model.num_classes} classes. It was right on ${percent(accuracy)} of ` +
    `${model.num_judged} ${model.judged_on} images (95 % interval: ${percent(low)} to ${percent(high)}).`;
  mostBytes = model.max_bytes;
  at("access").hidden = !model.needs_token || token !== "";
}

function take(files) {
  for (const file of files) {
    const card = at("card").content.firstElementChild.cloneNode(true);
    card.querySelector("h3").textContent = file.name;
    card.querySelector(".verdict").textContent = "…";
    show(card.querySelector("img"), file);
    at("answers").prepend(card);
    waiting.push({ file, card });
  }
  at("bar").hidden = at("answers").children.length === 0;
  work();
}

function show(image, file) {
  image.onload = () => {
    if (Math.max(image.naturalWidth, image.naturalHeight) <= SMALL) image.classList.add("small");
    URL.revokeObjectURL(image.src);
  };
  image.onerror = () => {
    URL.revokeObjectURL(image.src);
    image.closest(".card").classList.add("bare");
  };
  image.src = URL.createObjectURL(file);
}

function work() {
  while (underWay < AT_ONCE && waiting.length > 0) {
    const { file, card } = waiting.shift();
    underWay += 1;
    ask(file)
      .then((answer) => tell(card, file, answer))
      .catch((error) => fail(card, file, error.message))
      .finally(() => {
        underWay -= 1;
        work();
      });
  }
}

async function ask(file) {
  if (file.size > mostBytes) throw new Error(`It is larger than ${mostBytes / 1e6} MB, the most that this server takes.`);
  for (let turn = 0; ; turn += 1) {
    const form = new FormData();
    form.append("file", file);
    let reply;
    try {
      reply = await fetch(`predict?top_k=${SHOWN}`, { method: "POST", body: form, headers: access() });
    } catch {
      throw new Error("The server does not answer.");
    }
    if (reply.status === 503 && turn < PATIENCE) {
      await pause(Number(reply.headers.get("Retry-After")) || 1);
      continue;
    }
    const answer = await reply.json();
    if (reply.status === 401) {
      token = "";
      at("access").hidden = false;
    }
    if (answer.error) throw new Error(answer.error.message);
    const [found] = answer.predictions;
    if (found.error) throw new Error(found.error.message);
    return { ...found, model: answer.model, version: answer.version };
  }
}

function tell(card, file, answer) {
  card.querySelector(".verdict").textContent = answer.label;
  for (const { label, probability } of answer.classes) {
    const line = document.createElement("li");
    const parts = ["label", "track", "percent"].map((kind) => {
      const part = document.createElement("span");
      part.className = kind;
      line.append(part);
      return part;
    });
    parts[0].textContent = label;
    parts[0].title = label;
    parts[2].textContent = percent(probability);
    const fill = document.createElement("div");
    fill.className = "fill";
    fill.style.width = `${100 * probability}%`;
    parts[1].setAttribute("aria-hidden", "true");
    parts[1].append(fill);
    card.querySelector(".classes").append(line);
  }
  card.querySelector("img").alt = `${file.name}: ${answer.label}`;
  card.querySelector(".by").textContent =
    answer.version === null ? answer.model : `${answer.model}, version ${answer.version}`;
  say(`${file.name}: ${answer.label}, ${percent(answer.confidence)}`);
}

function say(line) {
  const news = document.createElement("p");
  news.textContent = line;
  at("news").append(news);
}

function fail(card, file, message) {
  card.classList.add("wrong");
  card.querySelector(".verdict").textContent = message;
  say(`${file.name}: ${message}`);
}

at("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});
at("clear").addEventListener("click", () => {
  waiting.length = 0;
  at("answers").replaceChildren();
  at("news").replaceChildren();
  at("bar").hidden = true;
  at("files").focus();
});
at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value;
  at("token").value = "";
  at("access").hidden = true;
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
describe();
