// The gallery: thousands of images, of which only those in sight are in the page. Tiles are cut out of sheets that lie
// beside the page and are read when a tile of theirs comes into sight. All text goes in as text.
(() => {
  "use strict";
  const find = (id) => document.getElementById(`viewer${id}`);
  const viewer = find("");
  if (!viewer) return;

  const SPARE = 2; // rows above and below those in sight
  const HELD = 256; // sheets that are kept read
  const LONGEST = 240; // characters of a prompt in its row; the whole of it stands below
  const data = JSON.parse(find("-data").textContent);
  const lower = data.texts.map((text) => text.toLowerCase());
  const grid = find("-grid");
  const nothingChosen = find("-detail").firstElementChild;
  const state = { rows: [], models: [], active: null, shown: new Map(), missing: 0 };

  // --- elements

  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name === "class") made.className = value;
      else if (name === "text") made.textContent = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  const count = (number) => number.toLocaleString("en");
  const signed = (units) => {
    const { decimals } = data.influence;
    return (units < 0 ? "\u2212" : "+") + (Math.abs(units) / 10 ** decimals).toFixed(decimals);
  };
  const short = (text) => {
    const letters = text.length > LONGEST ? Array.from(text) : null; // by character, or an emoji is cut in two
    return letters && letters.length > LONGEST ? letters.slice(0, LONGEST).join("") + "\u2026" : text;
  };

  // --- what is known of an image

  const setOf = (row) => data.sets[row.set];
  const promptOf = (row) => data.texts[setOf(row).prompts[row.number]];
  const has = (row, model) => setOf(row).models.includes(model);
  const copyOf = (row, model) => setOf(row).copies[model]?.[row.number];
  const absenceOf = (row, model) =>
    has(row, model) ? setOf(row).absent[model]?.[row.number] : "not drawn";
  const movedBy = (row, model) => setOf(row).influence[model]?.[row.number];
  const numbered = (row) => `${setOf(row).name.replaceAll("_", " ")} ${count(row.number + 1)}`;

  function told(row, model) {
    const moved = movedBy(row, model);
    const copy = copyOf(row, model);
    const parts = [`${data.models[model].name}: ${short(promptOf(row)) || "no prompt"}`, numbered(row)];
    if (moved !== undefined) parts.push(`moved ${data.influence.title} by ${signed(moved)}`);
    if (copy) parts.push(`suspected copy of training image ${copy[0]}`);
    return parts.join(", ");
  }

  // --- pictures

  const sheets = new Map(); // address → promise of the picture, the one used last at the end

  function sheet(address) {
    let wanted = sheets.get(address);
    if (wanted) {
      sheets.delete(address);
    } else {
      const picture = new Image();
      wanted = new Promise((resolve, reject) => {
        picture.onload = () => resolve(picture);
        picture.onerror = () => reject(new Error(address));
      });
      picture.src = address;
      if (sheets.size >= HELD) sheets.delete(sheets.keys().next().value);
    }
    sheets.set(address, wanted);
    return wanted;
  }

  function canvas(source, number, label) {
    const made = element("canvas", { class: "viewer-tile", role: "img", "aria-label": label });
    const tiles = source.columns ** 2;
    const address = `${source.folder}/${source.set}-${String(Math.floor(number / tiles)).padStart(3, "0")}.png`;
    const within = number % tiles;
    const x = (within % source.columns) * source.tile;
    const y = Math.floor(within / source.columns) * source.tile;
    made.width = made.height = Math.min(source.tile, source.most);
    made.dataset.state = "waiting";
    sheet(address).then(
      (picture) => {
        made.getContext("2d").drawImage(picture, x, y, source.tile, source.tile, 0, 0, made.width, made.height);
        made.dataset.state = "drawn";
      },
      () => {
        made.dataset.state = "missing";
        state.missing += 1;
        if (state.missing === 1) tell();
      },
    );
    return made;
  }

  function imageOf(row, model, most) {
    const { folder, tile, columns } = data.models[model];
    return canvas({ folder, tile, columns, most, set: setOf(row).name }, row.number, told(row, model));
  }

  function nearestOf(copy, most) {
    if (!data.nearest) return null;
    return canvas({ ...data.nearest, most }, copy[1], `its nearest training image, number ${copy[0]}`);
  }

  // --- which rows, in which order

  function chosenRows() {
    const words = find("-prompt").value.trim().toLowerCase();
    const wanted = find("-set").value;
    const copiesOnly = find("-copies").checked;
    const rows = [];
    data.sets.forEach((set, number) => {
      if (wanted !== "" && Number(wanted) !== number) return;
      for (let i = 0; i < set.prompts.length; i += 1) {
        const row = { set: number, number: i };
        if (words && !lower[set.prompts[i]].includes(words)) continue;
        if (copiesOnly && !state.models.some((model) => copyOf(row, model))) continue;
        rows.push(row);
      }
    });
    if (find("-order").value === "moved") byInfluence(rows);
    return rows;
  }

  function byInfluence(rows) {
    for (const row of rows) {
      row.moved = Math.max(-1, ...state.models.map((model) => Math.abs(movedBy(row, model) ?? -1)));
    }
    rows.sort((a, b) => b.moved - a.moved || a.set - b.set || a.number - b.number);
  }

  function tell() {
    const images = state.rows.reduce(
      (sum, row) => sum + state.models.filter((model) => !absenceOf(row, model)).length, 0);
    const some = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;
    const rows = some(state.rows.length, "prompt and seed", "prompts and seeds");
    const parts = [state.rows.length === 0 ? "Nothing matches." : `${rows}, ${some(images, "image", "images")}.`];
    if (state.missing > 0) parts.push("Some pictures are not there: the page has to lie beside its folder images/.");
    find("-status").textContent = parts.join(" ");
  }

  // --- the rows in sight

  const body = element("div", { class: "viewer-body", role: "rowgroup" });
  const head = element("div", { class: "viewer-row viewer-head", role: "row", "aria-rowindex": "1" });
  grid.append(element("div", { role: "rowgroup", class: "viewer-top" }, head), body);

  function size(name) {
    return Number.parseFloat(getComputedStyle(viewer).getPropertyValue(name));
  }

  function refresh() {
    state.models = [...viewer.querySelectorAll(".viewer-model:checked")].map((box) => Number(box.value));
    state.rows = chosenRows();
    state.active = null;
    grid.scrollTop = 0;
    grid.removeAttribute("aria-activedescendant");
    grid.setAttribute("aria-rowcount", String(state.rows.length + 1));
    grid.setAttribute("aria-colcount", String(state.models.length + 1));
    find("-detail").replaceChildren(nothingChosen);
    tell();
    layOut();
  }

  function layOut() {
    head.replaceChildren(
      element("div", { role: "columnheader", class: "viewer-prompt", text: "Prompt" }),
      ...state.models.map((model) =>
        element("div", { role: "columnheader", class: "viewer-cell", dir: "auto", text: data.models[model].name })),
    );
    state.height = size("--row");
    state.sharp = Math.round(size("--tile") * Math.max(1, devicePixelRatio)); // of larger images, no more can be seen
    body.style.height = `${state.rows.length * state.height}px`;
    for (const shown of state.shown.values()) shown.remove();
    state.shown.clear();
    render();
  }

  function render() {
    const top = Math.max(0, grid.scrollTop - head.offsetHeight);
    const first = Math.max(0, Math.floor(top / state.height) - SPARE);
    const end = Math.min(state.rows.length, Math.ceil((top + grid.clientHeight) / state.height) + SPARE);
    for (const [place, shown] of state.shown) {
      if (place < first || place >= end) {
        shown.remove();
        state.shown.delete(place);
      }
    }
    for (let place = first; place < end; place += 1) {
      if (!state.shown.has(place)) state.shown.set(place, addRow(place));
    }
    grid.dataset.ready = "";
    mark();
  }

  function addRow(place) {
    const row = state.rows[place];
    const made = element("div", { class: "viewer-row", role: "row", "aria-rowindex": String(place + 2) },
      element("div", { role: "rowheader", class: "viewer-prompt" },
        element("div", { class: "viewer-text", dir: "auto", text: short(promptOf(row)) || "no prompt" }),
        element("div", { class: "viewer-small", text: numbered(row) })),
      ...state.models.map((model, column) => cell(row, model, place, column)));
    made.style.transform = `translateY(${place * state.height}px)`;
    // In the order of the rows, whichever way they came into sight: that is how a screen reader goes through them.
    const next = [...state.shown.keys()].filter((other) => other > place).sort((a, b) => a - b)[0];
    body.insertBefore(made, next === undefined ? null : state.shown.get(next));
    return made;
  }

  function cell(row, model, place, column) {
    const made = element("div", { role: "gridcell", class: "viewer-cell", id: `viewer-${place}-${column}` });
    made.dataset.place = String(place);
    made.dataset.column = String(column);
    const why = absenceOf(row, model);
    if (why) {
      made.append(element("div", { class: "viewer-none", text: short(why) }));
      return made;
    }
    const copy = copyOf(row, model);
    const moved = movedBy(row, model);
    const small = (text, more = "") => element("div", { class: `viewer-small${more}`, text });
    const value = moved === undefined ? "" : signed(moved);
    const most = Math.abs(moved) === row.moved ? " viewer-most" : "";
    made.append(copy ? pair(row, model, copy, small(`copy? ${copy[2]}`)) : imageOf(row, model, state.sharp), small(value, most));
    return made;
  }

  function pair(row, model, copy, note) {
    const pictures = [imageOf(row, model, state.sharp), nearestOf(copy, state.sharp)].filter(Boolean);
    return element("div", { class: "viewer-pair" }, element("div", {}, ...pictures), note);
  }

  // --- one image, by keys or by pointer

  function mark() {
    for (const old of body.querySelectorAll(".viewer-active")) old.classList.remove("viewer-active");
    if (!state.active) return;
    const id = `viewer-${state.active.place}-${state.active.column}`;
    document.getElementById(id)?.classList.add("viewer-active");
    grid.setAttribute("aria-activedescendant", id);
  }

  function goTo(place, column) {
    if (state.rows.length === 0 || state.models.length === 0) return;
    state.active = {
      place: Math.min(Math.max(place, 0), state.rows.length - 1),
      column: Math.min(Math.max(column, 0), state.models.length - 1),
    };
    bringIntoSight();
    render();
    explain();
  }

  function bringIntoSight() {
    const top = state.active.place * state.height;
    const room = grid.clientHeight - head.offsetHeight;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + state.height > grid.scrollTop + room) grid.scrollTop = top + state.height - room;
    const [first, wanted] = [head.children[0], head.children[state.active.column + 1]];
    const left = wanted.offsetLeft - first.offsetWidth;
    const right = wanted.offsetLeft + wanted.offsetWidth - grid.clientWidth;
    if (left < grid.scrollLeft) grid.scrollLeft = left;
    else if (right > grid.scrollLeft) grid.scrollLeft = right;
  }

  function explain() {
    const row = state.rows[state.active.place];
    const model = state.models[state.active.column];
    const copy = copyOf(row, model);
    const facts = [["Prompt", promptOf(row) || "none"], ["Seed", setOf(row).seeds[row.number]], ["Image", numbered(row)]];
    const moved = movedBy(row, model);
    if (moved !== undefined) facts.push(["Moved", `${data.influence.title} by ${signed(moved)} ${data.influence.unit}`.trim()]);
    if (copy) facts.push(["Suspected copy", `of training image ${count(copy[0])}, ${copy[2]} grey levels away`]);
    const large = 2 * state.sharp;
    const titled = (picture, text) => element("figure", {}, picture, element("figcaption", { text }));
    const pictures = absenceOf(row, model)
      ? [element("p", { class: "viewer-none", text: absenceOf(row, model) })]
      : [titled(imageOf(row, model, large), "the image")];
    const nearest = copy && nearestOf(copy, large);
    if (nearest) pictures.push(titled(nearest, `training image ${count(copy[0])}`));
    find("-detail").replaceChildren(
      element("div", { class: "viewer-large" }, ...pictures),
      element("div", { class: "viewer-facts" },
        element("h3", { dir: "auto", text: data.models[model].name }),
        element("dl", {}, ...facts.map(([name, text]) =>
          element("div", {}, element("dt", { text: name }), element("dd", { dir: "auto", text }))))),
    );
  }

  function onKey(event) {
    const at = state.active ?? { place: -1, column: 0 };
    const page = Math.max(1, Math.floor(grid.clientHeight / state.height) - 1);
    const last = event.ctrlKey || event.metaKey;
    const steps = {
      ArrowDown: [at.place + 1, at.column],
      ArrowUp: [at.place - 1, at.column],
      ArrowRight: [at.place, at.column + 1],
      ArrowLeft: [at.place, at.column - 1],
      PageDown: [at.place + page, at.column],
      PageUp: [at.place - page, at.column],
      Home: [last ? 0 : at.place, 0],
      End: [last ? state.rows.length - 1 : at.place, state.models.length - 1],
    };
    const step = steps[event.key];
    if (!step || event.altKey) return;
    event.preventDefault();
    goTo(...step);
  }

  function onClick(event) {
    const clicked = event.target.closest(".viewer-cell[data-place]");
    if (clicked) goTo(Number(clicked.dataset.place), Number(clicked.dataset.column));
  }

  // --- the beginning

  function oncePerFrame(work) {
    let due = false;
    return () => {
      if (due) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        work();
      });
    };
  }

  function begin() {
    refresh();
    grid.addEventListener("scroll", oncePerFrame(render), { passive: true });
    addEventListener("resize", oncePerFrame(layOut));
    viewer.querySelector("form").addEventListener("input", refresh);
    viewer.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    grid.addEventListener("keydown", onKey);
    grid.addEventListener("click", onClick);
    performance.mark("gallery");
  }

  viewer.hidden = false;
  viewer.parentElement.classList.add("alive");
  const anyCopies = data.sets.some((set) => Object.values(set.copies).some((of) => Object.keys(of).length > 0));
  find("-copies").disabled = !anyCopies;
  if (!data.influence) find("-order").querySelector('[value="moved"]').disabled = true;
  else find("-order").querySelector('[value="moved"]').textContent = `moved ${data.influence.title} most`;
  // Nothing is read from disk before the gallery comes near.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    begin();
  }, { rootMargin: "800px" }).observe(viewer);
})();
