"use strict";

const LARGEST_LIST = 8; // brands; of more, the likeliest BARS have a bar
const BARS = 5;

const form = document.getElementById("chooser");
const chooser = document.getElementById("files");
const status = document.getElementById("status");
const answers = document.getElementById("answers");
const maxBytes = Number(form.dataset.maxBytes);
const level = Number(form.dataset.level); // the chance that a set holds the right brand
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
// Imported, not cloned: pictures in a template's own document are never loaded.
const copyOf = (template) =>
  document.importNode(document.getElementById(template).content, true).firstElementChild;
let work = Promise.resolve();
let asked = 0, answered = 0;

// One photo after the other, in the order in which they came.
function ask(files) {
  for (const file of files) {
    asked += 1;
    work = work.then(() => answer(file));
  }
}

async function answer(file) {
  const name = file.name || "pasted picture";
  const place = asked > 1 ? ` (${answered + 1} of ${asked})` : "";
  status.textContent = `Looking at ${name}${place} …`;
  let article;
  try {
    article = await show(name, file, await predict(file));
  } catch (error) {
    article = refuse(name, error.message);
  }
  answers.prepend(article);
  answered += 1;
  if (answered === asked) asked = answered = 0;
}

// The server's answer. Throws an Error that says what a person can do.
async function predict(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error("This cannot be read. Drop the photos themselves, not their folder.");
  }
  if (file.size > maxBytes) {
    throw new Error(`The photo is larger than ${maxBytes / 1e6} MB. Send a smaller one.`);
  }
  let response, record;
  try {
    response = await fetch("/predict", { method: "POST", body: file });
    record = await response.json();
  } catch {
    throw new Error("The server does not answer. Is “carbrand serve” still running?");
  }
  if (!response.ok) throw new Error(record.error);
  return record;
}

async function show(name, file, record) {
  const article = copyOf("answer");
  const find = (selector) => article.querySelector(selector);
  find(".brand").textContent = record.brand;
  find(".sure").textContent = `${percent(record.confidence)} sure`;
  find(".path").textContent = name;
  find(".unknown").hidden = !record.unknown;
  find(".set").hidden = !record.set.length;
  find(".set").textContent = `With ${percent(level)}, one of: ${record.set.join(", ")}`;
  find(".heat").src = record.heatmap;
  find(".heat").alt = `Heat map: where the evidence for ${record.brand} lies`;
  find(".facts-line").textContent =
    `${record.width} × ${record.height} pixels, ${Math.round(record.milliseconds)} ms`;
  for (const bar of bars(record.probabilities)) find(".bars").append(bar);
  await showPhoto(article, file, record);
  const unknown = record.unknown ? " It looks like none of the brands." : "";
  status.textContent = `${name}: ${record.brand}, ${percent(record.confidence)} sure.${unknown}`;
  return article;
}

// The heat map fits the photo only where the browser turns it the way the model saw it.
async function showPhoto(article, file, record) {
  const address = URL.createObjectURL(file);
  const [photo, greyed] = article.querySelectorAll(".photo");
  photo.src = greyed.src = address;
  try {
    await Promise.all([photo.decode(), greyed.decode()]);
    const { naturalWidth, naturalHeight } = photo;
    if (naturalWidth !== record.width || naturalHeight !== record.height) throw new Error();
  } catch {
    URL.revokeObjectURL(address);
    const [plain, heated] = article.querySelectorAll("figure");
    plain.replaceChildren("This browser cannot show the photo the way the model saw it.");
    greyed.remove();
    heated.firstElementChild.classList.add("unseen");
    heated.firstElementChild.style.aspectRatio = `${record.width} / ${record.height}`;
  }
}

function bars(probabilities) {
  const rows = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
  const shown = rows.length > LARGEST_LIST ? rows.splice(0, BARS) : rows.splice(0);
  if (rows.length) {
    shown.push([`${rows.length} others`, rows.reduce((sum, [, share]) => sum + share, 0)]);
  }
  return shown.map(([name, share], place) => {
    const bar = copyOf("bar");
    bar.className = place === 0 ? "actual" : "other";
    bar.querySelector(".name").textContent = name;
    bar.querySelector(".value").textContent = percent(share);
    bar.querySelector("i").style.width = percent(share).replace("\u00a0", "");
    return bar;
  });
}

function refuse(name, reason) {
  const article = copyOf("refusal");
  article.querySelector(".name").textContent = name;
  article.querySelector(".reason").textContent = reason;
  status.textContent = `${name}: ${reason}`;
  return article;
}

// What is no file: a link, or a picture dragged out of another page.
function take(transfer) {
  if (transfer.files.length) {
    ask([...transfer.files]);
  } else {
    status.textContent = "That was no file. Drop the photo's file, or paste the picture itself.";
  }
}

chooser.addEventListener("change", () => {
  ask([...chooser.files]);
  chooser.value = ""; // the same file may be chosen again
});
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("paste", (event) => {
  event.preventDefault();
  take(event.clipboardData);
});

// The whole page takes drops: beside the frame, the browser would leave the page for the photo.
const drag = (on) => document.body.classList.toggle("dragging", on);
addEventListener("dragover", (event) => {
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  drag(true);
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drag(false);
});
addEventListener("drop", (event) => {
  event.preventDefault();
  drag(false);
  take(event.dataTransfer);
});
