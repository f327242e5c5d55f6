"use strict";
// Every text of a case is set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { arms, cases, groups } = data;
  const STEP = 100;
  const MAX_CELLS = 250000; // of the table that a difference of words needs
  const find = (id) => document.getElementById(id);
  const list = find("list"), more = find("more"), text = find("text"), arm = find("arm"), chosen = find("chosen");
  const state = { arm: data.first, outcome: "all", group: null, shown: [], upTo: 0 };
  const hay = new Array(cases.length);

  function make(name, className, content) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (content !== undefined) element.textContent = content;
    return element;
  }

  const OUTCOMES = [
    ["all", "all", () => true],
    ["lost", "worse", (cell) => cell && cell.flag === "lost"],
    ["gained", "better", (cell) => cell && cell.flag === "gained"],
    ["wrong", "both wrong", (cell, teacher) => cell && teacher && cell.state === "fail" && teacher.state === "fail"],
    ["differs", "answers differ", (cell) => cell && cell.differs],
    ["error", "errors", (cell, teacher) => (cell && cell.state === "error") || (teacher && teacher.state === "error")],
  ];

  function outcome(one) {
    const cell = one.arms[state.arm], teacher = one.arms[0];
    if (!cell) return ["no answer", "quiet"];
    if (cell.state === "error") return ["error", "error"];
    if (cell.flag === "lost") return ["worse", "lost"];
    if (cell.flag === "gained") return ["better", "gained"];
    if (cell.state === "unscored") return ["not scored", "quiet"];
    if (cell.state === "fail") return [teacher && teacher.state === "fail" ? "both wrong" : "wrong", "quiet"];
    return ["same", "quiet"];
  }

  const flat = (pairs) => (pairs ? pairs.map(([name, value]) => (name ? name + ": " : "") + value).join("\n") : "");

  function haystack(index) {
    if (hay[index] === undefined) {
      const one = cases[index];
      const parts = [one.id, flat(one.in), flat(one.want), flat(one.meta), one.group || ""];
      for (const cell of one.arms) if (cell) for (const said of cell.says) parts.push(flat(said.out));
      hay[index] = parts.join("\n").toLowerCase();
    }
    return hay[index];
  }

  function matching(test) {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const members = state.group === null ? null : new Set(groups[state.group].lost);
    const found = [];
    for (let index = 0; index < cases.length; index++) {
      const one = cases[index];
      if (members && !members.has(one.id)) continue;
      if (!test(one.arms[state.arm], one.arms[0])) continue;
      if (words.length && !words.every((word) => haystack(index).includes(word))) continue;
      found.push(index);
    }
    return found;
  }

  function refresh() {
    const test = OUTCOMES.find(([name]) => name === state.outcome)[2];
    state.shown = matching(test);
    state.upTo = 0;
    list.replaceChildren();
    grow();
    const count = state.shown.length.toLocaleString("en");
    find("count").textContent = count + " of " + cases.length.toLocaleString("en") + (cases.length === 1 ? " case" : " cases");
  }

  function grow() {
    const upTo = Math.min(state.upTo + STEP, state.shown.length);
    const rows = document.createDocumentFragment();
    for (; state.upTo < upTo; state.upTo++) rows.append(row(cases[state.shown[state.upTo]]));
    list.append(rows);
    more.hidden = state.upTo >= state.shown.length;
    more.textContent = "Show " + Math.min(STEP, state.shown.length - state.upTo) + " more";
  }

  function row(one) {
    const item = make("li"), details = make("details"), summary = make("summary");
    const [tag, look] = outcome(one);
    const first = one.in ? (one.in[0] || ["", ""])[1] : "";
    summary.append(make("span", "id", one.id), make("span", "tag " + look, tag), make("span", "snippet", first.slice(0, 300)));
    details.append(summary);
    details.addEventListener("toggle", () => {
      if (details.open && !details.querySelector(".body")) details.append(body(one));
    });
    item.append(details);
    return item;
  }

  function body(one) {
    const box = make("div", "body");
    section(box, "Input", one.in);
    if (one.want !== undefined) section(box, data.reference, one.want);
    box.append(sideBySide(one));
    const others = arms.map((_, index) => index).filter((index) => index && index !== state.arm && one.arms[index]);
    if (others.length) {
      box.append(make("h3", "", "The other arms"));
      const names = make("dl", "others");
      for (const index of others) {
        const entry = make("div"), told = make("dd", "", first(one.arms[index]));
        entry.append(make("dt", "", arms[index].label), told);
        told.append(make("div", "meta", facts(one.arms[index])));
        names.append(entry);
      }
      box.append(names);
    }
    const about = [...(one.group ? [["cluster", one.group]] : []), ...(one.meta || [])];
    if (about.length) section(box, "About the case", about);
    return box;
  }

  function section(box, title, pairs) {
    box.append(make("h3", "", title));
    const single = pairs && pairs.length === 1 ? pairs[0][1] : flat(pairs);
    const shown = make("div", "text", pairs ? single : "not kept");
    box.append(shown);
  }

  function first(cell) {
    if (!cell) return "no answer";
    const said = cell.says[0];
    if (!said || said.out === null) return cell.why || "no answer" + (said && said.status ? " (" + said.status + ")" : "");
    return said.out ? flat(said.out) : "not kept";
  }

  function facts(cell) {
    if (!cell) return "";
    const said = cell.says[0] || {};
    const parts = [cell.score === undefined ? cell.state : "score " + cell.score];
    if (said.s !== undefined) parts.push(said.s + " s");
    if (said.usd !== undefined) parts.push("$" + said.usd);
    if (said.repaired) parts.push("repaired");
    if (cell.why) parts.push(cell.why);
    const answers = cell.says.length + (cell.more || 0);
    if (answers > 1) parts.push("first of " + answers + " answers");
    return parts.join(" · ");
  }

  function sideBySide(one) {
    const grid = make("div", "both"), teacher = one.arms[0], student = one.arms[state.arm];
    for (const [index, cell] of [[0, teacher], [state.arm, student]]) {
      const head = make("div");
      head.append(make("h3", "", arms[index].label), make("div", "meta", facts(cell)));
      grid.append(head);
    }
    const left = pairsOf(teacher), right = pairsOf(student);
    const names = [...new Set([...left.keys(), ...right.keys()])];
    for (const name of names) {
      const [ours, theirs] = marked(left.get(name), right.get(name));
      grid.append(field(arms[0].label, name, ours, ""), field(arms[state.arm].label, name, theirs, "student"));
    }
    return grid;
  }

  function pairsOf(cell) {
    const said = cell && cell.says[0];
    return said && said.out ? new Map(said.out) : new Map([["", first(cell)]]);
  }

  function field(who, name, value, className) {
    const box = make("div", "field " + className), shown = make("div", "value");
    const title = make("span", "name");
    title.append(make("span", "whose", who + (name ? " · " : "")), name);
    shown.append(value);
    box.append(title, shown);
    return box;
  }

  // The two texts with what only one of them has marked: whole words, by their longest common subsequence.
  function marked(left, right) {
    if (left === right) return [text_(left), text_(right)];
    if (left === undefined) return [text_("–"), all("ins", right)];
    if (right === undefined) return [all("del", left), text_("–")];
    const a = left.match(/\s+|[\p{L}\p{N}_]+|./gsu) || [], b = right.match(/\s+|[\p{L}\p{N}_]+|./gsu) || [];
    let start = 0, endA = a.length, endB = b.length;
    while (start < endA && start < endB && a[start] === b[start]) start++;
    while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
    const keepA = new Uint8Array(a.length).fill(1), keepB = new Uint8Array(b.length).fill(1);
    keepA.fill(0, start, endA);
    keepB.fill(0, start, endB);
    common(a.slice(start, endA), b.slice(start, endB), (i, j) => { keepA[start + i] = 1; keepB[start + j] = 1; });
    return [spans(a, keepA, "del"), spans(b, keepB, "ins")];
  }

  function common(a, b, same) {
    const n = a.length, m = b.length, wide = m + 1;
    if ((n + 1) * wide > MAX_CELLS) return;
    const best = new Uint16Array((n + 1) * wide);
    for (let i = n - 1; i >= 0; i--)
      for (let j = m - 1; j >= 0; j--)
        best[i * wide + j] = a[i] === b[j]
          ? best[(i + 1) * wide + j + 1] + 1
          : Math.max(best[(i + 1) * wide + j], best[i * wide + j + 1]);
    for (let i = 0, j = 0; i < n && j < m;) {
      if (a[i] === b[j]) same(i++, j++);
      else if (best[(i + 1) * wide + j] >= best[i * wide + j + 1]) i++;
      else j++;
    }
  }

  function spans(tokens, kept, name) {
    const whole = document.createDocumentFragment();
    for (let from = 0; from < tokens.length;) {
      let to = from;
      while (to < tokens.length && kept[to] === kept[from]) to++;
      const piece = tokens.slice(from, to).join("");
      whole.append(kept[from] ? text_(piece) : make(name, "", piece));
      from = to;
    }
    return whole;
  }

  const text_ = (content) => document.createTextNode(content);
  const all = (name, content) => make(name, "", content);

  function choose(group) {
    state.group = state.group === group ? null : group;
    for (const button of document.querySelectorAll("[data-group]"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.group) === state.group));
    chosen.hidden = state.group === null;
    if (state.group !== null) {
      chosen.firstElementChild.textContent = "Only: " + groups[state.group].what;
      state.arm = data.first;
      arm.value = String(state.arm);
      document.querySelector('input[name="outcome"][value="all"]').checked = true;
      state.outcome = "all";
    }
    refresh();
  }

  function move(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    if (!event.target.matches("#list summary")) return;
    const items = [...list.querySelectorAll("summary")];
    const next = items[items.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) { event.preventDefault(); next.focus(); }
  }

  arms.forEach(({ label }, index) => {
    if (!index) return;
    const option = make("option", "", label);
    option.value = String(index);
    arm.append(option);
  });
  arm.value = String(state.arm);
  for (const [name, label] of OUTCOMES) {
    const wrap = make("label"), input = make("input");
    input.type = "radio";
    input.name = "outcome";
    input.value = name;
    input.checked = name === state.outcome;
    input.addEventListener("change", () => { state.outcome = name; refresh(); });
    wrap.append(input, label);
    find("outcomes").append(wrap);
  }
  let waiting;
  text.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 120); });
  arm.addEventListener("change", () => { state.arm = Number(arm.value); if (state.group !== null) choose(state.group); else refresh(); });
  find("filters").addEventListener("submit", (event) => { event.preventDefault(); refresh(); });
  more.addEventListener("click", () => {
    const at = state.upTo;
    grow();
    const next = list.children[at];
    if (next) next.querySelector("summary").focus();
  });
  for (const button of document.querySelectorAll("[data-group]")) {
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      choose(Number(button.dataset.group));
      if (state.group !== null) find("cases").scrollIntoView();
    });
  }
  for (const button of document.querySelectorAll("[data-case]")) {
    button.addEventListener("click", () => {
      if (state.group !== null) choose(state.group);
      document.querySelector('input[name="outcome"][value="all"]').checked = true;
      state.outcome = "all";
      text.value = button.dataset.case;
      refresh();
      const shown = [...list.children].find((item) => item.querySelector(".id").textContent === text.value);
      if (shown) shown.firstElementChild.open = true;
      find("cases").scrollIntoView();
    });
  }
  chosen.lastElementChild.addEventListener("click", () => choose(state.group));
  list.addEventListener("keydown", move);
  find("filters").hidden = false;
  refresh();
})();
