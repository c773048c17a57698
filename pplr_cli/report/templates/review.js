"use strict";
// Answers are [path_a, path_b, answer]; an action is a list of answers that are undone together.
const data = JSON.parse(document.getElementById("data").textContent);
const KEY = "pplr review " + data.key;
const find = (id) => document.getElementById(id);
const itemOf = new Map(data.images.map((image) => [image.path, image.item]));
for (const [a, b, , itemA, itemB] of data.answers) itemOf.set(a, itemA).set(b, itemB);

let actions = load();
let closure, current, cards;
let selected = new Set(); // images of one card
let merging = null; // the card to merge

/** Which items are known to be one identity, or two. */
class Closure {
  constructor() { this.parent = new Map(); this.apart = new Map(); this.unsure = new Set(); }
  root(item) {
    let root = item;
    while (this.parent.has(root)) root = this.parent.get(root);
    while (item !== root) { const next = this.parent.get(item); this.parent.set(item, root); item = next; }
    return root;
  }
  enemies(root) {
    if (!this.apart.has(root)) this.apart.set(root, new Set());
    return this.apart.get(root);
  }
  same(a, b) { return this.root(a) === this.root(b); }
  different(a, b) { return this.enemies(this.root(a)).has(this.root(b)); }
  decided(a, b) { return this.same(a, b) || this.different(a, b); }
  /** Add an answer; return false if it contradicts the others. */
  add(a, b, answer) {
    const one = this.root(a), other = this.root(b);
    if (answer === "unsure") this.unsure.add(pairKey(a, b));
    else if (answer === "different") {
      if (one === other) return false;
      this.enemies(one).add(other); this.enemies(other).add(one);
    } else if (one !== other) {
      if (this.different(one, other)) return false;
      this.parent.set(other, one);
      for (const enemy of this.enemies(other)) {
        this.enemies(enemy).delete(other);
        this.enemies(enemy).add(one);
        this.enemies(one).add(enemy);
      }
    }
    return true;
  }
}

function pairKey(a, b) { return a < b ? a + " " + b : b + " " + a; }

function load() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) || [];
  } catch {
    return [];
  }
}

function store() {
  try {
    localStorage.setItem(KEY, JSON.stringify(actions));
  } catch {
    say("This browser does not keep the answers: save answers.csv before you close the page.");
  }
}

function say(text) { find("message").textContent = text; find("message").hidden = !text; }

function item(path) { return itemOf.has(path) ? itemOf.get(path) : path; }

/** Add the answers that are new as one action, unless they contradict earlier ones. */
function act(answers) {
  const trial = derive(), added = [];
  for (const [a, b, answer] of answers) {
    if (trial.decided(item(a), item(b)) && trial.same(item(a), item(b)) === (answer === "same")) continue;
    if (!trial.add(item(a), item(b), answer)) {
      say("This contradicts an earlier answer: undo that one first.");
      return;
    }
    added.push([a, b, answer]);
  }
  say("");
  if (!added.length) return;
  actions.push(added);
  store();
  refresh();
}

function undo() {
  say("");
  actions.pop();
  store();
  refresh();
}

function answered() { return [...data.answers.map((known) => known.slice(0, 3)), ...actions.flat()]; }

function derive() {
  const found = new Closure();
  for (const [a, b, answer] of answered()) found.add(item(a), item(b), answer);
  return found;
}

function open([a, b]) {
  const one = data.images[a].item, other = data.images[b].item;
  return !closure.decided(one, other) && !closure.unsure.has(pairKey(one, other));
}

function refresh() {
  closure = derive();
  const left = data.pairs.filter(open);
  current = left[0] || null;
  selected = new Set();
  merging = null;
  const count = actions.length, rest = left.length;
  find("progress").textContent = `${count} answer${count === 1 ? "" : "s"} here, ${rest} pair${rest === 1 ? "" : "s"} left`;
  for (const name of ["undo", "undo-split"]) find(name).disabled = !count;
  for (const name of ["same", "different", "unsure"]) find(name).disabled = !current;
  drawQuestion();
  if (!find("clusters").hidden) drawCards();
}

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function picture(number) {
  const image = data.images[number];
  return make("img", { src: image.uri, alt: image.path, title: image.path, width: data.size[0], height: data.size[1] });
}

function drawQuestion() {
  if (!current) {
    find("question").replaceChildren(make("p", { textContent: "No pairs are left. Save answers.csv." }));
    return;
  }
  find("question").replaceChildren(...current.map((number) => {
    const [main, ...others] = data.views[number];
    const { path, note } = data.images[main];
    const more = make("div", { className: "crops" }, ...others.map(picture));
    return make("div", { className: "side" }, picture(main), more, make("p", { textContent: [note, path].filter(Boolean).join(", ") }));
  }));
}

function reply(answer) {
  if (current) act([[...current.map((number) => data.images[number].path), answer]]);
}

/** Return the cards: the clusters shown, as the answers change them. */
function arrange() {
  const groups = data.clusters.map(({ number, size, images }) => ({ title: `Cluster ${number}`, size, images: [...images] }));
  const holder = (it) => groups.find((group) => group.images.some((n) => data.images[n].item === it));
  for (const [a, b, answer] of answered()) {
    const one = holder(item(a)), other = holder(item(b));
    if (!one || !other) continue;
    const like = (path) => (n) => closure.same(data.images[n].item, item(path));
    const clash = one.images.some((m) => other.images.some((n) => closure.different(data.images[m].item, data.images[n].item)));
    if (answer === "same" && one !== other) move(other, one, clash ? like(b) : () => true);
    if (answer === "different" && one === other) {
      const split = { title: `${one.title}, split`, size: 0, images: [] };
      groups.splice(groups.indexOf(one) + 1, 0, split);
      move(one, split, like(a));
    }
  }
  return groups.filter((group) => group.images.length);
}

function move(from, to, chosen) {
  to.images.push(...from.images.filter(chosen));
  from.images = from.images.filter((n) => !chosen(n));
  if (from.size && !from.images.length) to.size += from.size;
}

function drawCards() {
  const focused = document.activeElement.id;
  cards = arrange();
  find("cards").replaceChildren(...cards.map((card) => {
    const picked = card.images.filter((n) => selected.has(n)).length;
    const split = make("button", { id: "split-" + card.images[0], textContent: "Split", disabled: !picked || picked === card.images.length, onclick: () => splitOff(card) });
    const own = merging && merging.images.join() === card.images.join();
    const label = own ? "Cancel" : merging ? "Merge here" : "Merge";
    const merge = make("button", { id: "merge-" + card.images[0], textContent: label, onclick: () => mergeWith(card) });
    const about = card.size ? `, ${card.size} images` : "";
    const header = make("header", {}, make("h3", { textContent: card.title + about }), split, merge);
    const crops = make("div", { className: "crops" }, ...card.images.map((n) => pick(card, n)));
    return make("section", { className: own ? "card chosen" : "card" }, header, crops);
  }));
  if (focused) (find(focused) || find("show-clusters")).focus({ preventScroll: true });
}

function pick(card, number) {
  const button = make("button", { className: "pick", id: "pick-" + number, onclick: () => toggle(card, number) }, picture(number), data.images[number].note);
  button.setAttribute("aria-pressed", selected.has(number));
  return button;
}

/** Select an image and all that are known to be the same; only one card has selected images. */
function toggle(card, number) {
  const alike = card.images.filter((n) => closure.same(data.images[n].item, data.images[number].item));
  const kept = card.images.filter((n) => selected.has(n) && !alike.includes(n));
  selected = new Set(selected.has(number) ? kept : [...kept, ...alike]);
  drawCards();
}

function splitOff(card) {
  const path = (n) => data.images[n].path;
  const chosen = card.images.filter((n) => selected.has(n)), rest = card.images.filter((n) => !selected.has(n));
  act([
    ...chosen.slice(1).map((n) => [path(chosen[0]), path(n), "same"]),
    ...rest.map((n) => [path(chosen[0]), path(n), "different"]),
  ]);
}

function mergeWith(card) {
  if (merging && merging.images.join() !== card.images.join()) {
    const [first, ...others] = [...merging.images, ...card.images].map((n) => data.images[n].path);
    act(others.map((path) => [first, path, "same"]));
    return;
  }
  merging = merging ? null : card;
  drawCards();
}

function save() {
  const quote = (field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
  const lines = [["path_a", "path_b", "answer"], ...answered()].map((row) => row.map(quote).join(",") + "\n");
  const url = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
  make("a", { href: url, download: "answers.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function show(name) {
  for (const each of ["pairs", "clusters"]) {
    find(each).hidden = each !== name;
    find("show-" + each).setAttribute("aria-pressed", each === name);
  }
  refresh();
}

for (const name of ["same", "different", "unsure"]) find(name).onclick = () => reply(name);
find("undo").onclick = find("undo-split").onclick = undo;
find("save").onclick = save;
find("show-pairs").onclick = () => show("pairs");
find("show-clusters").onclick = () => show("clusters");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  if (key === "z" && actions.length) undo();
  const answer = { s: "same", d: "different", u: "unsure" }[key];
  if (answer && !find("pairs").hidden) reply(answer);
});
refresh();
