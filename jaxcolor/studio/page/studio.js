// The page: what is on it, what it wishes for, what it is shown. All work is done by the server.

import { cloudOn } from "./clouds.js";

const $ = (id) => document.getElementById(id);
const panel = $("panel");
const clouds = { before: cloudOn($("cloud-before")), after: cloudOn($("cloud-after")),
  goal: cloudOn($("cloud-goal")) };
const items = { source: [], reference: [] }; // {file, name, key, ...}: in a well, uploaded or not
let chosen = null; // of the sources, the one on the stage
let socket, token, limits = {};
let wished = 0, shown = 0, opened = false;

// --- what the person is told ---

function status(text) {
  $("status").textContent = text;
}

function notice(text, remark = false) {
  const there = [...$("notices").children];
  if (there.some((one) => one.firstChild.textContent === text)) return;
  const box = document.createElement("div");
  box.className = remark ? "notice remark" : "notice";
  const line = document.createElement("p");
  line.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "\u00d7";
  close.setAttribute("aria-label", "Dismiss");
  close.onclick = () => box.remove();
  box.append(line, close);
  $("notices").append(box);
  while ($("notices").children.length > 4) $("notices").firstChild.remove();
  if (remark) setTimeout(() => box.remove(), 15000);
}

function busy(on) {
  $("work").hidden = !on;
  $("stage").setAttribute("aria-busy", on);
}

// --- the socket ---

function connect() {
  const here = location.href.replace(/^http/, "ws");
  socket = new WebSocket(new URL(`socket${location.search}`, here));
  socket.binaryType = "arraybuffer";
  let full = false;
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) return show(data);
    const told = JSON.parse(data);
    if (told.hello) return begin(told);
    if (told.error) {
      if (told.number && told.number !== wished) return; // something else is wanted by now
      full = !token;
      notice(told.error);
      status(full ? "Full" : "");
      busy(false);
    } else if (told.busy && told.number === wished) {
      busy(true);
      status(told.first ? "Matching colours\u2026 the first time takes longer"
        : "Matching colours\u2026");
    }
  };
  socket.onclose = async () => {
    busy(false);
    token = null;
    if (full) return;
    status("Not connected; trying again");
    const answer = await fetch(location.href).catch(() => null);
    if (answer?.status === 403) return status(await answer.text()); // of a server that has gone
    setTimeout(connect, 1500);
  };
}

async function begin(told) {
  ({ hello: token, limits } = told);
  status("");
  told.errors.forEach((line) => notice(line));
  const again = opened;
  opened = true;
  // uploads are made again where a server has forgotten them; what it opened itself is told anew
  for (const role in items) items[role] = items[role].filter((one) => one.file);
  told.pictures.forEach((one, k) => items[k ? "reference" : "source"].push({ ...one }));
  chosen = items.source.find((one) => one === chosen) ?? items.source[0] ?? null;
  if (again) await Promise.all([...items.source, ...items.reference].filter((one) => one.file)
    .map(upload));
  refresh();
}

// --- pictures ---

// What is new takes the place of what was there, or joins it; unless none of it can be read
async function add(files, role, more = false) {
  const fresh = [...files].map((file) => ({ file, name: file.name }));
  const parts = role ? [[role, fresh]] : places(fresh);
  await Promise.all(parts.filter(([, some]) => some.length).map(async ([to, some]) => {
    const old = more ? [] : items[to];
    items[to] = [...items[to], ...some];
    fill();
    await Promise.all(some.map(upload));
    if (!items[to].some((one) => some.includes(one))) return;
    items[to] = items[to].filter((one) => !old.includes(one));
    old.forEach(forget);
    if (to === "source" && !more) chosen = items.source[0];
  }));
  chosen ??= items.source[0] ?? null;
  refresh();
}

// Dropped beside the wells: what is missing is filled first
function places(fresh) {
  if (!items.source.length && fresh.length === 2) {
    return [["source", fresh.slice(0, 1)], ["reference", fresh.slice(1)]];
  }
  return [[items.source.length && !items.reference.length ? "reference" : "source", fresh]];
}

async function upload(item) {
  item.key = null;
  try {
    if (item.file.size > limits.megabytes * 2 ** 20) {
      throw new Error(`${item.name}: is larger than ${limits.megabytes} MB, the most a file may `
        + "have here (--max-megabytes)");
    }
    const path = `sessions/${token}/pictures?name=${encodeURIComponent(item.name)}`;
    const answer = await fetch(path, { method: "PUT", body: item.file });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    Object.assign(item, told);
    told.told.forEach((line) => notice(line, true));
    if (item.gone) forget(item);
  } catch (error) {
    notice(error instanceof TypeError ? `${item.name}: could not be read or sent` : error.message);
    remove(item);
  }
}

function forget(item) {
  item.gone = true;
  if (item.key) fetch(`sessions/${token}/pictures/${item.key}`, { method: "DELETE" });
}

function remove(item) {
  for (const role in items) items[role] = items[role].filter((one) => one !== item);
  forget(item);
  if (chosen === item) chosen = items.source[0] ?? null;
  refresh();
}

function swap() {
  [items.source, items.reference] = [items.reference, items.source];
  chosen = items.source[0] ?? null;
  refresh();
}

const address = (item) => `sessions/${token}/pictures/${item.key}`;

// --- what is on the page ---

function fill() {
  for (const role in items) {
    const well = $(role);
    well.classList.toggle("full", items[role].length > 0);
    well.querySelector(".count").textContent = items[role].length > 1 ? items[role].length : "";
    well.querySelector(".thumbs").replaceChildren(...items[role].map((one) => thumb(one, role)));
  }
  $("empty").hidden = items.source.length > 0;
  $("bar").hidden = !items.source.length;
  $("swap").disabled = !items.source.length && !items.reference.length;
}

function thumb(item, role) {
  const box = $("thumb").content.firstElementChild.cloneNode(true);
  const [show, gone] = box.querySelectorAll("button");
  box.classList.toggle("waiting", !item.key);
  show.title = item.key ? `${item.name}, ${item.width} \u00d7 ${item.height}` : item.name;
  show.setAttribute("aria-label", role === "source" ? `Show ${item.name}` : item.name);
  show.setAttribute("aria-pressed", role === "source" && item === chosen);
  if (item.key) box.querySelector("img").src = address(item);
  show.onclick = () => {
    if (role !== "source") return;
    chosen = item;
    refresh();
  };
  gone.setAttribute("aria-label", `Remove ${item.name}`);
  gone.onclick = () => remove(item);
  return box;
}

let staged = null;
function refresh() {
  fill();
  const goal = items.reference.filter((one) => one.key);
  clouds.before(points(chosen));
  clouds.goal(Uint8Array.from(goal.flatMap((one) => [...points(one)])));
  if (!chosen?.key) {
    $("frame").hidden = true;
    staged = null;
  } else if (staged !== address(chosen)) {
    staged = address(chosen);
    shown = wished; // what is under way is of another picture
    $("before").src = staged;
    blank();
    $("stage").style.setProperty("--ratio", chosen.width / chosen.height);
    $("frame").hidden = false;
  }
  $("size").textContent = chosen?.key
    ? `${chosen.width} \u00d7 ${chosen.height}, ${chosen.name}` : "";
  if (!goal.length) {
    shown = wished;
    blank();
  }
  ask();
}

function blank() {
  // there is no result: before is all there is to see
  $("after").removeAttribute("src");
  $("frame").dataset.mode = "before";
  $("frame").classList.add("alone");
  clouds.after(new Uint8Array());
  saves(false);
}

// lines may end before an option, not within it
function command(text) {
  const parts = text.split(/(?<= )(--?[a-z-]+)(?= |$)/).map((part, k) => {
    if (k % 2 === 0) return part;
    const word = document.createElement("span");
    word.textContent = part;
    return word;
  });
  $("command").replaceChildren(...parts);
}

const points = (item) => item?.key ? Uint8Array.from(atob(item.cloud), (c) => c.charCodeAt(0))
  : new Uint8Array();

function saves(on = !$("frame").classList.contains("alone")) {
  document.querySelectorAll(".saves button").forEach((one) => {
    one.disabled = !on || one.dataset.busy === "true";
  });
  document.querySelector("[data-kind=zip]").hidden = items.source.length < 2;
  $("copy").disabled = !on;
}

// --- wishes, and what comes of them ---

function settings() {
  return {
    look: panel.elements.look.value,
    method: $("method").value,
    smooth: $("smooth").value,
    strength: $("strength").valueAsNumber / 100,
  };
}

function goals() {
  return items.reference.filter((one) => one.key).map((one) => one.key);
}

function ask() {
  if (!chosen?.key || !goals().length || socket.readyState !== WebSocket.OPEN) return;
  wished += 1;
  socket.send(JSON.stringify({ number: wished, source: chosen.key, references: goals(),
    ...settings() }));
}

async function show(data) {
  const size = new DataView(data).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size)));
  if (told.number <= shown) return;
  const cloud = new Uint8Array(data, 4 + size, told.cloud);
  const image = new Image();
  const url = URL.createObjectURL(
    new Blob([new Uint8Array(data, 4 + size + told.cloud)], { type: told.kind }));
  image.src = url;
  await image.decode();
  if (told.number <= shown) return URL.revokeObjectURL(url);
  shown = told.number;
  image.id = "after";
  image.alt = "After";
  const old = $("after");
  old.replaceWith(image);
  if (old.src) URL.revokeObjectURL(old.src);
  command(told.command);
  $("frame").classList.remove("alone");
  mode();
  saves(true);
  if (told.number === wished) {
    busy(false);
    status("");
  }
  requestAnimationFrame(() => {
    document.documentElement.dataset.shown = told.number;
    setTimeout(() => told.number === shown && clouds.after(cloud)); // the picture comes first
  });
}

async function give(button) {
  const { kind } = button.dataset;
  button.dataset.busy = "true";
  saves();
  status(kind === "cube" ? "Fitting the table\u2026" : "Working at full size\u2026");
  try {
    const sources = items.source.filter((one) => one.key).map((one) => one.key);
    const answer = await fetch(`sessions/${token}/result`, {
      method: "POST",
      body: JSON.stringify({ number: wished, source: chosen.key, references: goals(), kind,
        sources: kind === "zip" ? sources : [chosen.key], ...settings() }),
    });
    if (!answer.ok) throw new Error((await answer.json()).error);
    const name = /filename\*?=(?:utf-8'')?"?([^"]+)/.exec(answer.headers.get("content-disposition"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = decodeURIComponent(name[1]);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    told(answer.headers.get("x-told")).forEach((line) => notice(line, true));
  } catch (error) {
    notice(error instanceof TypeError ? "The download failed: is the server still there?"
      : error.message);
  }
  button.dataset.busy = "false";
  saves();
  status("");
}

function told(header) {
  try {
    return JSON.parse(header);
  } catch {
    return [];
  }
}

// --- controls ---

function mode(value = panel.ownerDocument.querySelector("[name=mode]:checked").value) {
  $("frame").dataset.mode = $("frame").classList.contains("alone") ? "before" : value;
}

function controls() {
  panel.onsubmit = (event) => event.preventDefault();
  $("strength").oninput = () => {
    const { value } = $("strength");
    $("strength-told").textContent = `${value} %`;
    $("strength").style.setProperty("--at", `${value}%`);
    ask();
  };
  panel.elements.look.forEach((one) => (one.onclick = () => {
    $("method").value = "";
    panel.querySelector(".looks").classList.remove("other");
    ask();
  }));
  $("smooth").onchange = ask;
  $("method").onchange = () => {
    panel.querySelector(".looks").classList.toggle("other", $("method").value !== "");
    ask();
  };
  $("swap").onclick = swap;
  $("split").oninput = () => $("frame").style.setProperty("--split", `${$("split").value}%`);
  document.querySelectorAll("[name=mode]").forEach((one) => (one.onchange = () => mode()));
  document.querySelectorAll(".saves button").forEach((one) => (one.onclick = () => give(one)));
  $("copy").onclick = copy;
  held();
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("command").textContent);
  } catch {
    getSelection().selectAllChildren($("command"));
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

function held() {
  const isTyping = (event) => event.target.matches("select, input[type=text]");
  window.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "b" && !event.ctrlKey && !event.metaKey && !isTyping(event)) {
      mode("before");
    }
  });
  window.addEventListener("keyup", (event) => event.key.toLowerCase() === "b" && mode());
  $("frame").addEventListener("pointerdown", () => {
    if ($("frame").dataset.mode === "after") mode("before");
  });
  for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => mode());
}

function drops() {
  const file = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const over = (on) => {
    depth = on ? depth : 0;
    $("dropping").hidden = !on;
    document.body.classList.toggle("dragging", on);
  };
  window.addEventListener("dragenter", (event) => file(event) && (depth++, over(true)));
  window.addEventListener("dragleave", () => --depth <= 0 && over(false));
  window.addEventListener("dragover", (event) => file(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!file(event)) return;
    event.preventDefault();
    over(false);
    add(event.dataTransfer.files, event.target.closest?.(".well")?.dataset.role);
  });
  document.querySelectorAll(".well input").forEach((one) => (one.onchange = () => {
    add(one.files, one.closest(".well").dataset.role, one.dataset.more === "true");
    one.value = "";
  }));
  $("choose").onclick = () => {
    const input = document.createElement("input");
    Object.assign(input, { type: "file", multiple: true });
    input.onchange = () => add(input.files);
    input.click();
  };
}

controls();
drops();
fill();
connect();
