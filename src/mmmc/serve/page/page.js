// The page: pictures go to /predict once; threshold and classes are chosen here, without asking again.
"use strict";

const $ = (id) => document.getElementById(id);
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#7f7fff", "#ff7fbf"];
const pictures = []; // { file, url, image, answer, labels }
let shown = -1;
let names = [];
let hidden = new Set();
let begun = null; // corner of a box that is being drawn, in pixels of the picture

const colour = (name) => COLOURS[Math.max(0, names.indexOf(name)) % COLOURS.length];
const current = () => pictures[shown];
const least = () => Number($("threshold").value);
const visible = (picture) => picture.answer.objects.filter((o) => o.score >= least() && !hidden.has(o.class));

function say(text, fault = false) {
  $("status").textContent = text;
  $("status").classList.toggle("fault", fault);
}

async function fault(answer) {
  try {
    const said = await answer.json();
    return said.error || JSON.stringify(said);
  } catch {
    return `${answer.status} ${answer.statusText}`;
  }
}

async function add(files) {
  const faults = [];
  for (const file of files) {
    say(`Looking at ${file.name} …`);
    const form = new FormData();
    form.append("file", file);
    try {
      const answer = await fetch("/predict", { method: "POST", body: form });
      if (!answer.ok) throw new Error(await fault(answer));
      const url = URL.createObjectURL(file);
      const image = new Image();
      image.src = url;
      await image.decode();
      pictures.push({ file, url, image, answer: await answer.json(), labels: [] });
      show(begun ? shown : pictures.length - 1); // no picture is taken away while somebody draws on it
    } catch (error) {
      faults.push(`${file.name}: ${error.message}`);
    }
  }
  if (faults.length) say(faults.join(" "), true);
}

function show(index) {
  shown = index;
  if (!begun) $("drawn").hidden = true;
  const focused = $("pictures").contains(document.activeElement);
  $("stage").hidden = shown < 0;
  $("pictures").replaceChildren(
    ...pictures.map((picture, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = picture.file.name;
      button.setAttribute("aria-label", picture.file.name);
      button.setAttribute("aria-pressed", String(i === shown));
      const image = document.createElement("img");
      image.src = picture.url;
      image.alt = "";
      button.append(image);
      button.onclick = () => show(i);
      return button;
    })
  );
  if (focused && shown >= 0) $("pictures").children[shown].focus();
  $("save").disabled = $("clear").disabled = shown < 0;
  if (!begun) draw();
}

function rectangle(context, [x1, y1, x2, y2], name, text, dashed) {
  const unit = Math.max(1, context.canvas.width / 500);
  context.setLineDash(dashed ? [6 * unit, 4 * unit] : []);
  context.lineWidth = 2 * unit;
  context.strokeStyle = colour(name);
  context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  context.font = `${11 * unit}px system-ui, sans-serif`;
  const width = context.measureText(text).width + 6 * unit;
  const top = y1 >= 15 * unit ? y1 - 15 * unit : y1;
  context.fillStyle = colour(name);
  context.fillRect(x1, top, width, 15 * unit);
  context.fillStyle = "#000";
  context.fillText(text, x1 + 3 * unit, top + 11 * unit);
}

function draw(pending = null) {
  const picture = current();
  if (!picture) {
    $("objects").replaceChildren();
    classes();
    say("");
    return;
  }
  const canvas = $("canvas");
  canvas.width = picture.answer.width;
  canvas.height = picture.answer.height;
  canvas.classList.toggle("draws", $("explain").open);
  const context = canvas.getContext("2d");
  context.drawImage(picture.image, 0, 0, canvas.width, canvas.height);
  const found = visible(picture);
  for (const object of [...found].reverse())
    rectangle(context, object.box, object.class, `${object.class} ${object.score.toFixed(2)}`, false);
  if ($("explain").open)
    for (const label of pending ? [...picture.labels, pending] : picture.labels)
      rectangle(context, label.box, label.class, `label: ${label.class}`, true);
  $("objects").replaceChildren(
    ...found.map((object) => {
      const [x1, y1, x2, y2] = object.box;
      const row = document.createElement("tr");
      for (const text of [object.class, object.score.toFixed(2), ...[x1, y1, x2 - x1, y2 - y1].map(Math.round)])
        row.insertCell().textContent = text;
      return row;
    })
  );
  classes();
  const seconds = picture.answer.seconds.toFixed(2);
  say(`${picture.file.name}: ${found.length} objects above ${least().toFixed(2)}, found in ${seconds} s.`);
}

function classes() {
  const picture = current();
  const above = picture ? picture.answer.objects.filter((o) => o.score >= least()) : [];
  $("classes").replaceChildren(
    ...names.map((name) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = !hidden.has(name);
      box.onchange = () => {
        box.checked ? hidden.delete(name) : hidden.add(name);
        draw();
        [...$("classes").querySelectorAll("input")][names.indexOf(name)].focus();
      };
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = colour(name);
      const text = document.createElement("span");
      text.textContent = name;
      const count = document.createElement("span");
      count.className = "count";
      count.textContent = above.filter((o) => o.class === name).length;
      label.append(box, swatch, text, count);
      return label;
    })
  );
}

function place(event) {
  const canvas = $("canvas");
  const frame = canvas.getBoundingClientRect();
  const inside = (value, size) => Math.min(Math.max(value, 0), size);
  return [
    inside(((event.clientX - frame.left) / frame.width) * canvas.width, canvas.width),
    inside(((event.clientY - frame.top) / frame.height) * canvas.height, canvas.height),
  ];
}

function labelTo([x, y]) {
  const [left, top] = begun;
  const box = [Math.min(left, x), Math.min(top, y), Math.max(left, x), Math.max(top, y)];
  return { class: $("class").value, box };
}

async function base64(file) {
  const reader = new FileReader();
  await new Promise((done, failed) => {
    reader.onload = done;
    reader.onerror = () => failed(new Error("the picture cannot be read any more"));
    reader.readAsDataURL(file);
  });
  return reader.result;
}

async function explain(figure) {
  const picture = current();
  if (!picture) return say("Choose a picture first.", true);
  if (!picture.labels.length) return say("Draw a box first, or take what was found.", true);
  say("Drawing …");
  try {
    const body = {
      image: await base64(picture.file),
      boxes: picture.labels.map((label) => label.box),
      classes: picture.labels.map((label) => label.class),
    };
    const answer = await fetch(`/figure/${figure}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(await fault(answer));
    const drawing = await answer.blob();
    if (picture !== current()) return;
    URL.revokeObjectURL($("drawing").src);
    $("drawing").src = URL.createObjectURL(drawing);
    $("caption").textContent =
      figure === "labels"
        ? "Points that would be trained as positive, level by level, in the colour of their object."
        : "Class loss and box loss of each point inside a box: where the two are dark in different places, the tasks disagree.";
    $("drawing").alt = $("caption").textContent;
    $("drawn").hidden = false;
    await $("drawing").decode();
    $("drawn").scrollIntoView({ block: "nearest" });
    say("Drawn.");
  } catch (error) {
    if (picture === current()) say(error.message, true);
  }
}

function save() {
  const { file, answer } = current();
  const content = { file: file.name, width: answer.width, height: answer.height, threshold: least(), objects: visible(current()) };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = `${file.name.replace(/\.[^.]*$/, "")}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function clear() {
  URL.revokeObjectURL(current().url);
  pictures.splice(shown, 1);
  show(Math.min(shown, pictures.length - 1));
}

addEventListener("DOMContentLoaded", async () => {
  const drop = $("drop");
  $("files").onchange = (event) => add([...event.target.files]).then(() => (event.target.value = ""));
  drop.onkeydown = (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), $("files").click());
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") add([...event.dataTransfer.files]);
    });
  document.addEventListener("paste", (event) => add([...event.clipboardData.files]));
  $("threshold").oninput = () => {
    $("least").value = least().toFixed(2);
    draw();
  };
  const canvas = $("canvas");
  canvas.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !begun && pictures[shown + step]) show(shown + step);
  };
  canvas.onpointerdown = (event) => {
    if (!$("explain").open || !event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    begun = place(event);
  };
  canvas.onpointermove = (event) => begun && draw(labelTo(place(event)));
  canvas.onpointercancel = () => ((begun = null), draw());
  canvas.onpointerup = (event) => {
    if (!begun) return;
    const label = labelTo(place(event));
    begun = null;
    const [x1, y1, x2, y2] = label.box;
    if (x2 - x1 >= 2 && y2 - y1 >= 2) current().labels.push(label);
    draw();
  };
  $("explain").ontoggle = () => draw();
  $("take").onclick = () => {
    if (!current()) return say("Choose a picture first.", true);
    current().labels.push(...visible(current()).map((object) => ({ class: object.class, box: object.box })));
    draw();
  };
  $("undo").onclick = () => current() && (current().labels.pop(), draw());
  $("labels").onclick = () => explain("labels");
  $("losses").onclick = () => explain("losses");
  $("save").onclick = save;
  $("clear").onclick = clear;
  try {
    const said = await (await fetch("/health")).json();
    names = said.classes;
    $("name").textContent = said.name;
    $("explain").hidden = !said.figures.length;
    $("class").replaceChildren(...names.map((name) => new Option(name, name)));
    classes();
  } catch {
    say("The server does not answer.", true);
  }
});
