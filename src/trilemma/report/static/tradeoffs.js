// The trade-offs under the measures that the reader chooses. All numbers come from the page; here they are only put together.
(() => {
  "use strict";
  const holder = document.getElementById("tradeoffs-charts");
  const orders = document.getElementById("orders-charts");
  const data = JSON.parse(document.getElementById("tradeoffs-data").textContent);
  const selects = [...holder.querySelectorAll("select")];
  const chosen = Object.fromEntries(selects.map((select) => [select.dataset.axis, 0]));
  const LONGEST = 26;

  const measureOf = (axis) => data.measures[axis][chosen[axis]];
  const short = (text) => (text.length > LONGEST ? text.slice(0, LONGEST - 1) + "…" : text);

  function hover(measure, cell) {
    return `${measure.label}: ${cell.text}` + (cell.interval ? ` (95 %: ${cell.interval})` : "");
  }

  function points(first, second) {
    return data.models.flatMap((model, i) => {
      const [x, y] = [first.cells[i], second.cells[i]];
      if (!x || !y) return [];
      return [{
        label: short(model.name), color: model.color, shape: model.shape, size: model.size, reference: model.reference,
        x: x.value, x_low: x.low, x_high: x.high, y: y.value, y_low: y.low, y_high: y.high,
        hover: [model.name, hover(first, x), hover(second, y)].join("\n"),
      }];
    });
  }

  function frontier(pair, first, second) {
    const [one, other] = pair;
    return data.frontiers[`${one}-${other}`][chosen[one]][chosen[other]].map((i, order) => (
      { order, x: first.cells[i].value, y: second.cells[i].value }
    ));
  }

  function channel(measure, field) {
    const { type, domain, constant, reverse } = measure.scale;
    return {
      field,
      type: "quantitative",
      title: measure.label + (measure.lower ? " (lower is better) →" : " →"),
      scale: { type, domain, reverse, nice: false, ...{ linear: { zero: false }, symlog: { constant } }[type] },
      axis: { tickCount: type === "linear" ? 6 : 4, labelExpr: "abs(datum.value) >= 1e6 ? format(datum.value, '.3~s') : format(datum.value, ',.4~r')", labelOverlap: true, titleLimit: 330 },
    };
  }

  /** Names beside the points where there is room; the models before the controls. */
  function withNames(vega) {
    vega.marks.push({
      type: "text",
      from: { data: "models_marks" },
      interactive: false,
      clip: true,
      encode: {
        enter: {
          text: { field: "datum.label" },
          fill: { value: "currentColor" },
          fillOpacity: { signal: "datum.datum.reference ? 0.72 : 1" },
          font: { value: data.tradeOff.config.font },
          fontSize: { signal: "datum.datum.reference ? 11 : 12" },
          fontWeight: { signal: "datum.datum.reference ? 'normal' : 'bold'" },
        },
      },
      transform: [{
        type: "label",
        size: { signal: "[max(width, 1), max(height, 1)]" },
        sort: { field: "datum.reference" },
        anchor: [
          "top-right", "top-left", "bottom-right", "bottom-left", "right", "left", "top", "bottom",
          "bottom-right", "bottom-left", "bottom", "top", "bottom-left", "bottom-right", "top-left", "top-right",
        ],
        offset: [3, 3, 3, 3, 6, 6, 6, 6, 12, 12, 20, 20, 24, 24, 24, 24],
        avoidBaseMark: true,
      }],
    });
    return vega;
  }

  function drawPair(pair) {
    const element = document.getElementById(`chart-${pair.join("-")}`);
    const [first, second] = pair.map(measureOf);
    const spec = { ...data.tradeOff, encoding: { x: channel(first, "x"), y: channel(second, "y") } };
    const datasets = { points: points(first, second), frontier: frontier(pair, first, second) };
    return charts.draw(element, spec, datasets, withNames);
  }

  const pairs = Object.keys(data.frontiers)
    .map((key) => key.split("-"))
    .filter((pair) => document.getElementById(`chart-${pair.join("-")}`));

  function drawOrder(axis) {
    const named = new Set();
    const places = data.measures[axis].flatMap((measure, row) => data.models.flatMap((model, i) => {
      if (model.reference) return [];
      const place = measure.places[i];
      const first = place !== null && !named.has(model.name);
      if (first) named.add(model.name);
      const said = place ? `${measure.label}: place ${place}, ${measure.cells[i].text}` : "";
      return [{
        model: model.name, label: short(model.name), measure: measure.label, row, place, first,
        color: model.color, shape: model.shape, hover: `${model.name}\n${said}`,
      }];
    }));
    return charts.draw(document.getElementById(`order-${axis}`), data.orders[axis], { places });
  }

  function tell(axis) {
    if (!orders) return;
    const measure = measureOf(axis);
    document.getElementById(`told-${axis}`).textContent = `${measure.label}: ${measure.told}.`;
    document.getElementById(`order-${axis}`).drawing?.view.signal("chosen", measure.label).runAsync();
  }

  function fillTable() {
    const table = document.getElementById("tradeoffs-table");
    const shown = selects.map((select) => select.dataset.axis);
    for (const axis of shown) fillHeading(table.querySelector(`th[data-axis="${axis}"] a`), measureOf(axis));
    const best = pairs.map((pair) => [pair.join("–"), data.frontiers[pair.join("-")][chosen[pair[0]]][chosen[pair[1]]]]);
    [...table.tBodies[0].rows].forEach((row, i) => {
      shown.forEach((axis, column) => fillCell(row.cells[column + 1], measureOf(axis).cells[i]));
      row.cells[shown.length + 1].textContent = best.filter(([, who]) => who.includes(i)).map(([pair]) => pair).join(", ");
    });
  }

  function fillHeading(link, measure) {
    link.textContent = measure.label;
    link.hash = `metric-${measure.metric}`;
  }

  function fillCell(element, cell) {
    const under = document.createElement("span");
    under.className = "under";
    under.textContent = cell?.interval ?? "";
    element.replaceChildren(cell?.text ?? "not measured", under);
  }

  for (const select of selects) {
    select.addEventListener("change", () => {
      const axis = select.dataset.axis;
      chosen[axis] = Number(select.value);
      fillTable();
      tell(axis);
      charts.guarded(holder, () => Promise.all(pairs.filter((pair) => pair.includes(axis)).map(drawPair)));
    });
  }

  charts.guarded(holder, () => Promise.all(pairs.map(drawPair)));
  // One model alone has no order.
  if (orders) {
    charts.guarded(orders, async () => {
      await Promise.all(Object.keys(data.orders).map(drawOrder));
      for (const axis of Object.keys(data.orders)) tell(axis);
    });
  }
})();
