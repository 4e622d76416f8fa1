// The page: images in, cards with predictions out. Names of files and of classes are text, never HTML.

const find = id => document.getElementById(id);
const predictor = new Predictor();
/** @type {Model} */
let model;
// Why nothing can be predicted.
let fault = "";
// The images that wait; and all that were added since none was waiting or being predicted.
const queue = [], batch = [];
let nRunning = 0;
// More class names are folded.
const MOST_NAMED = 12;

/** Return an element with attributes and content, which is text or elements. */
function element(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

const counted = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
const percent = probability => `${(100 * probability).toFixed(1)}%`;

// The network

/** Show what the page computes with, and wait until it can be trusted. */
async function start() {
  try {
    describe(await predictor.describe());
    const said = await predictor.ready();
    if (said) find("notes").append(element("li", {}, said));
  } catch (error) {
    fault = error.message;
    find("fault").textContent = fault[0].toUpperCase() + fault.slice(1);
    find("fault").hidden = false;
    find("choose").hidden = true;
  }
}

function describe(described) {
  model = described;
  const { name, classes, models, notes } = model;
  find("name").textContent = name;
  const nMore = classes.length - MOST_NAMED;
  const named = classes.slice(0, MOST_NAMED).join(", ") + (nMore > 0 ? ` and ${nMore} more` : "");
  find("about").textContent = `A network of ${counted(classes.length, "class", "classes")}: ${named}.`;
  find("all-classes").hidden = nMore <= 0;
  find("all-classes").lastElementChild.textContent = classes.join(", ");
  find("models").hidden = models.length < 2;
  find("model-choice").replaceChildren(...models.map(each => new Option(each, each, each === name, each === name)));
  find("notes").replaceChildren(...notes.map(note => element("li", {}, note)));
}

/** Return the key that is typed in next. */
function askForKey(why) {
  const form = find("key"), field = find("key-field");
  form.lastElementChild.textContent = why;
  form.hidden = false;
  field.value = "";
  field.focus();
  return new Promise(resolve => {
    form.onsubmit = event => {
      event.preventDefault();
      form.hidden = true;
      resolve(field.value.trim());
    };
  });
}

// Images

/** Make a card for each file, and predict them as soon as possible. */
function add(files) {
  const cards = Array.from(files, makeCard);
  if (!cards.length) {
    find("status").textContent = "There is no file in this; save the image, then choose its file.";
    return;
  }
  if (!queue.length && !nRunning) batch.length = 0;
  batch.push(...cards);
  find("results").prepend(...cards.map(card => card.whole));
  find("clear").hidden = false;
  queue.push(...cards);
  work();
}

function work() {
  showStatus();
  while (queue.length && nRunning < predictor.parallel) {
    nRunning++;
    fillCard(queue.shift()).finally(() => {
      nRunning--;
      work();
    });
  }
}

function showStatus() {
  const nDone = batch.filter(card => card.outcome).length;
  const nUnpredicted = batch.filter(card => card.isFaulty).length;
  const all = counted(batch.length, "image", "images");
  const but = nUnpredicted ? `, ${nUnpredicted} cannot be predicted` : "";
  if (nDone < batch.length) {
    find("status").textContent = `${nDone} of ${all}${but} …`;
  } else if (batch.length) {
    find("status").textContent = batch.length === 1 ? batch[0].outcome : `${all}${but}`;
  }
}

function makeCard(file) {
  const address = URL.createObjectURL(file);
  const image = element("img", { alt: "", decoding: "async" });
  const canvas = element("canvas", { hidden: "" });
  const shown = element("div", { class: "shown" }, image, canvas);
  image.onload = () => shown.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  image.onerror = () => {
    shown.classList.add("gone");
    shown.replaceChildren("no preview");
    URL.revokeObjectURL(address);
  };
  image.src = address;
  const said = element("div", {}, element("h2", {}, file.name), element("p", { class: "fine" }, "waiting …"));
  const whole = element("li", { class: "card", "aria-busy": "true" }, shown, said);
  return { file, whole, shown, image, canvas, said };
}

async function fillCard(card) {
  const { file, whole, said } = card;
  const waiting = said.lastElementChild;
  try {
    await started;
    if (fault) throw new Error(fault);
    await checkFile(file);
    const { resize, classes } = model;
    const { predictions, maps, milliseconds } = await predictor.predict(file);
    const [first] = predictions;
    card.outcome = `${file.name}: ${first.label}, ${percent(first.probability)}`;
    const buttons = maps.length ? [mapButtons(maps, card, resize)] : [];
    const took = element("p", { class: "fine" }, predictor.duration(milliseconds));
    waiting.replaceWith(bars(predictions, classes.length), ...buttons, took);
  } catch (error) {
    card.isFaulty = true;
    const sentence = `Cannot be predicted: ${error.message.replace(/\.$/, "")}.`;
    card.outcome = `${file.name}: ${sentence}`;
    waiting.replaceWith(element("p", { class: "fault" }, sentence));
  }
  whole.removeAttribute("aria-busy");
}

async function checkFile(file) {
  if (!file.size) throw new Error("the file is empty");
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error("it is a folder, or cannot be read any more; choose the image itself, once more");
  }
}

/** Return a bar for each prediction, and one for all other classes together. */
function bars(predictions, nClasses) {
  const bar = ({ label, probability }, kind = "") => {
    const parts = [element("span", {}, label), element("b", {}, percent(probability))];
    const made = element("li", { class: kind, title: label }, ...parts);
    made.style.setProperty("--share", probability);
    return made;
  };
  const rest = nClasses - predictions.length;
  const sum = predictions.reduce((all, each) => all + each.probability, 0);
  const all = predictions.map(each => bar(each));
  if (rest > 0) {
    all.push(bar({ label: counted(rest, "other class", "other classes"), probability: Math.max(0, 1 - sum) }, "rest"));
  }
  return element("ol", { class: "bars" }, ...all);
}

/** Return a button for each map, which shows it over the image of its card and hides it again. */
function mapButtons(maps, { shown, image, canvas }, resize) {
  const nothing = element("span", { class: "fine", role: "status" });
  const buttons = maps.map(map => {
    const button = element("button", { type: "button", "aria-pressed": "false", title: map.label }, map.label);
    button.onclick = () => {
      const isOn = button.getAttribute("aria-pressed") !== "true";
      for (const each of buttons) each.setAttribute("aria-pressed", String(isOn && each === button));
      shown.classList.toggle("explained", isOn);
      canvas.hidden = !isOn;
      const part = seenPart(resize, image.naturalWidth, image.naturalHeight);
      for (const [side, share] of Object.entries(part)) canvas.style.setProperty(side, `${100 * share}%`);
      drawMap(canvas, map);
      const isBlank = map.values.flat().every(value => value <= 0);
      nothing.textContent = isOn && isBlank ? `nothing in the image speaks for ${map.label}` : "";
    };
    return button;
  });
  const title = "Show what speaks for";
  const parts = [element("span", { class: "fine" }, title), ...buttons, nothing];
  return element("div", { class: "maps", role: "group", "aria-label": title }, ...parts);
}

// What people do

for (const input of [find("files"), find("camera")]) {
  input.onchange = () => {
    add(input.files);
    input.value = ""; // so that the same file can be chosen once more
  };
}
find("clear").onclick = () => {
  for (const image of find("results").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  queue.length = batch.length = 0;
  find("results").replaceChildren();
  find("clear").hidden = true;
  find("status").textContent = "";
  find("files").focus();
};
find("model-choice").onchange = async event => {
  try {
    describe(await predictor.describe(event.target.value));
  } catch (error) {
    event.target.value = model.name;
    find("status").textContent = error.message;
  }
};
addEventListener("paste", event => {
  if (event.target instanceof HTMLInputElement || !event.clipboardData) return;
  if (event.clipboardData.files.length) event.preventDefault();
  add(event.clipboardData.files);
});
addEventListener("dragover", event => {
  event.preventDefault();
  document.body.classList.add("dragged");
});
addEventListener("dragleave", event => {
  if (!event.relatedTarget) document.body.classList.remove("dragged");
});
addEventListener("drop", event => {
  event.preventDefault();
  document.body.classList.remove("dragged");
  add(event.dataTransfer.files);
});
const started = start();
