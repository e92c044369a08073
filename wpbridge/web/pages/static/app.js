/* What the pages of the dashboard do beyond HTML. Each page works without it. It runs in the head,
   so that the chosen theme is there before anything is drawn.

   From htmx 4.0.1 it takes htmx.swap() with the style "outerMorph", and the extension hook
   htmx_before_morph_attr. Pages may use hx-get, hx-post, hx-target, hx-select, hx-swap (innerMorph,
   outerMorph) and hx-trigger. hx-on and filters in brackets need eval, which the content security
   policy forbids.

   What pages have for it:
     data-live="2" id=…     a region that is renewed every 2 seconds from the page's own address
     data-when              of <time datetime>: the text is how long ago or ahead that is
     pre.code > code        gets a button that copies it
     data-all="ids"         of a checkbox: checks all of that name in the same form or table
     data-count-of="ids"    shows how many of that name are checked
     data-open="id"         of a button: opens that <dialog>
     data-search            of the input that / goes to
     data-key="o"           of a link: g and this letter go there
     data-theme-toggle      of a button: light or dark
     data-keys-toggle       of a checkbox: whether keys of one letter do anything */
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const stored = {
    get(name) { try { return localStorage.getItem(`wpbridge-${name}`); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(`wpbridge-${name}`, value); } catch { /* A private window. */ } },
  };
  const say = (text) => { const at = document.getElementById("said"); if (at) at.textContent = text; };

  // Theme: the system's, until another was chosen.
  const chosen = stored.get("theme");
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  root.classList.add("js");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  function toggleTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored.set("theme", root.dataset.theme);
    showTheme();
  }
  const showTheme = () => all("[data-theme-toggle]").forEach((one) => one.setAttribute("aria-pressed", String(isDark())));

  // Times, as the server words them.
  let ahead = 0; // Milliseconds by which the server's clock is before this one.
  const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  function span(seconds) {
    for (const [unit, name, part, partName] of UNITS) {
      if (seconds < unit) continue;
      const rest = Math.floor((seconds % unit) / part);
      return `${Math.floor(seconds / unit)} ${name}${rest && seconds < 10 * unit ? ` ${rest} ${partName}` : ""}`;
    }
    return `${seconds} s`;
  }
  function tick() {
    for (const one of all("time[data-when]")) {
      const seconds = Math.round((Date.parse(one.dateTime) - Date.now() - ahead) / 1000);
      const form = seconds > 0 ? root.dataset.in : root.dataset.ago;
      const text = form && Number.isFinite(seconds) ? form.replace("%s", span(Math.abs(seconds))) : "";
      if (text && one.textContent !== text) one.textContent = text;
    }
  }
  const setClock = (answer) => {
    const now = Date.parse(answer.headers.get("Date") || "");
    // The header has whole seconds.
    if (now && Math.abs(now - Date.now()) > 2000) ahead = now - Date.now();
  };

  // Renewal: the page is asked for again, and its live regions are merged into this one.
  const MOST_SECONDS = 60;
  let mark = "", failures = 0, timer = 0, isAsking = false;
  const regions = () => all("[data-live][id]");
  function isBusy() {
    const at = document.activeElement, marked = getSelection();
    return document.hidden
      || document.querySelector("dialog[open], details.menu[open]") !== null
      || regions().some((one) => one.querySelector("input[type=checkbox]:checked, input[type=radio]:checked") !== null)
      || (at !== null && at.matches("textarea, select, input:not([type=checkbox], [type=search])"))
      || (marked !== null && !marked.isCollapsed && marked.toString() !== "");
  }
  function later() {
    clearTimeout(timer);
    const intervals = regions().map((one) => Number.parseFloat(one.dataset.live) || 5);
    if (intervals.length && window.htmx && !document.hidden) {
      const seconds = Math.min(MOST_SECONDS, Math.min(...intervals) * 2 ** failures);
      timer = setTimeout(renew, seconds * 1000);
    }
  }
  async function renew() {
    if (isAsking) return;
    if (isBusy()) { later(); return; }
    isAsking = true;
    try {
      const headers = { "X-Requested-With": "wpbridge" };
      if (mark) headers["If-None-Match"] = mark;
      const answer = await fetch(location.href, { headers, redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(20000) });
      if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) { end(); return; }
      if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
      if (answer.status !== 304) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        // Somebody may have begun something meanwhile: what they look at stays.
        if (isBusy()) return;
        mark = answer.headers.get("ETag") || "";
        setClock(answer);
        await merge(page);
      }
      failures = 0;
      stale(false);
    } catch {
      failures = Math.min(failures + 1, 6);
      stale(failures > 1);
    } finally {
      isAsking = false;
      if (failures >= 0) later();
    }
  }
  function end() {
    // Signed out: nothing here becomes true again by waiting.
    failures = -1;
    const note = stale(true);
    if (note) note.textContent = note.dataset.ended;
  }
  function stale(is) {
    const note = document.querySelector(".stale-note");
    if (note && note.hidden === is) note.hidden = !is;
    document.querySelector("main")?.classList.toggle("stale", is);
    return note;
  }
  async function merge(page) {
    const row = rows().indexOf(current());
    const focused = document.activeElement?.id;
    for (const old of regions()) {
      const fresh = page.getElementById(old.id);
      if (fresh) await window.htmx.swap({ text: fresh.outerHTML, target: old, sourceElement: old, swap: "outerMorph" });
    }
    if (row >= 0) rows()[row]?.classList.add("at");
    if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
    dress();
    tick();
  }

  // Selection.
  const named = (name, within) => all(`input[type=checkbox][name="${CSS.escape(name)}"]`, within);
  function count() {
    for (const one of all("[data-count-of]")) one.textContent = String(named(one.dataset.countOf).filter((box) => box.checked).length);
    for (const one of all("[data-all]")) {
      const boxes = named(one.dataset.all, one.closest("form, table") || document);
      const checked = boxes.filter((box) => box.checked).length;
      one.checked = checked > 0 && checked === boxes.length;
      one.indeterminate = checked > 0 && checked < boxes.length;
    }
  }
  function changed(event) {
    const at = event.target;
    if (at.dataset.all) named(at.dataset.all, at.closest("form, table") || document).forEach((box) => { box.checked = at.checked; });
    if (at.matches("[data-keys-toggle]")) stored.set("keys", at.checked ? "on" : "off");
    count();
  }

  // Copying, also where plain HTTP leaves no clipboard to a page.
  function dress() {
    for (const one of all("main pre.code:not(:has(.copy))")) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "copy small", textContent: root.dataset.copyText });
      one.append(button);
    }
    count();
  }
  async function copy(button) {
    const text = button.parentElement.querySelector("code")?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "sr";
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = root.dataset.copied;
    say(root.dataset.copied);
    setTimeout(() => { button.textContent = root.dataset.copyText; say(""); }, 1500);
  }
  function clicked(event) {
    const at = event.target.closest?.(".copy, [data-open], [data-theme-toggle]");
    if (at?.matches(".copy")) copy(at);
    else if (at?.dataset.open) document.getElementById(at.dataset.open)?.showModal();
    else if (at) toggleTheme();
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  }

  // Keys.
  const rows = () => all("main table.rows tbody tr");
  const current = () => document.querySelector("main tr.at");
  function go(step) {
    const list = rows(), old = list.indexOf(current());
    const row = list[Math.max(0, Math.min(list.length - 1, old < 0 ? 0 : old + step))];
    if (!row) return;
    list[old]?.classList.remove("at");
    row.classList.add("at");
    row.scrollIntoView({ block: "nearest" });
    (row.querySelector("a[href]") || row.querySelector("input[type=checkbox], button"))?.focus({ preventScroll: true });
  }
  let isGoing = false; // After a g.
  const KEYS = {
    "?": () => document.getElementById("keys")?.showModal(),
    "/": () => document.querySelector("[data-search], input[type=search]")?.focus(),
    j: () => go(1),
    k: () => go(-1),
    x: () => current()?.querySelector("input[type=checkbox]")?.click(),
    t: toggleTheme,
    g: () => { isGoing = true; setTimeout(() => { isGoing = false; }, 1500); },
    Enter: () => current()?.querySelector("a[href]")?.click(),
  };
  function pressed(event) {
    const at = event.target;
    if (event.key === "Escape") {
      const menu = at.closest?.("details.menu[open]");
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
      else if (at.matches?.("input[type=search]")) at.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || stored.get("keys") === "off") return;
    if (at.closest?.("dialog, select, textarea, [contenteditable], input:not([type=checkbox], [type=radio])")) return;
    if (event.key === "Enter" && at.closest?.("a, button, summary")) return;
    const link = isGoing && document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
    isGoing = false;
    const act = link ? () => link.click() : Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
    if (act) { event.preventDefault(); act(); }
  }

  document.addEventListener("click", clicked);
  document.addEventListener("change", changed);
  document.addEventListener("keydown", pressed);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (failures >= 0) { failures = 0; tick(); renew(); }
  });
  document.addEventListener("DOMContentLoaded", () => {
    all("[data-keys-toggle]").forEach((one) => { one.checked = stored.get("keys") !== "off"; });
    // What a person has opened stays open when a region is renewed.
    window.htmx?.registerExtension("wpbridge", { htmx_before_morph_attr: (one, told) => !(told.attrName === "open" && one.matches("details")) });
    showTheme();
    dress();
    tick();
    setInterval(tick, 1000);
    later();
  });
})();
