// Values under the pointer, for charts and maps. Without this, charts say them in the titles of their points.
"use strict";
for (const figure of document.querySelectorAll("figure.chart, figure.map")) {
  const svg = figure.querySelector("svg"), data = JSON.parse(figure.querySelector("script").textContent), layer = svg.querySelector(".hover");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  const make = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    layer.append(made);
  };
  const place = (event) => {
    const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    return [(event.clientX - box.left) * view.width / box.width, (event.clientY - box.top) * view.height / box.height];
  };
  const hide = () => { tip.hidden = true; layer.replaceChildren(); };
  const say = (event, text) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = figure.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    tip.style.left = `${Math.max(0, Math.min(x + 14, box.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y > tip.offsetHeight + 16 ? y - tip.offsetHeight - 12 : y + 18}px`;
  };
  const overChart = (event) => {
    const [x, y] = place(event);
    layer.replaceChildren();
    const lines = [];
    let best = null;
    for (const series of data.series) {
      let near = null;
      series.at.forEach(([a, b], k) => {
        const distance = series.nearest ? Math.hypot(a - x, b - y) : Math.abs(a - x);
        if (near === null || distance < near.distance) near = { distance, a, b, text: series.says[k] };
      });
      if (near === null) continue;
      if (!series.nearest) lines.push(near);
      else if (near.distance < 40 && (best === null || near.distance < best.distance)) best = near;
    }
    const shown = best ? [best] : lines.filter((near) => near.distance < 60);
    if (!shown.length) return hide();
    make("line", { class: "cross", x1: shown[0].a, x2: shown[0].a, y1: data.top, y2: data.bottom });
    for (const near of shown) make("circle", { class: "dot", cx: near.a, cy: near.b, r: 4 });
    say(event, shown.map((near) => near.text).join("\n"));
  };
  const overMap = (event) => {
    const [x, y] = place(event), [left, top, width, height] = data.box;
    const s = (x - left) / width, t = 1 - (y - top) / height, rows = data.values;
    if (s < 0 || s > 1 || t < 0 || t > 1) return hide();
    const row = rows[Math.round(t * (rows.length - 1))], value = row[Math.round(s * (row.length - 1))];
    const at = [s, t].map((share, k) => `${data.names[k]} = ${Number((data.ends[k][0] + share * (data.ends[k][1] - data.ends[k][0])).toPrecision(4))}`);
    layer.replaceChildren();
    make("circle", { class: "dot", cx: x, cy: y, r: 4 });
    say(event, value === null ? `${at.join(", ")}\noutside of the domain` : `${at.join(", ")}\n${value}`);
  };
  const over = figure.classList.contains("chart") ? overChart : overMap;
  svg.addEventListener("pointermove", over);
  svg.addEventListener("pointerdown", over);
  svg.addEventListener("pointerleave", hide);
}
// Sliders over the parameters of a family: the member at their values is shown, the others are not.
for (const family of document.querySelectorAll(".family")) {
  const sliders = [...family.querySelectorAll(".sliders input")];
  const show = () => {
    const place = sliders.map((slider) => slider.value).join(",");
    for (const member of family.querySelectorAll(".member")) member.hidden = member.dataset.place !== place;
  };
  for (const slider of sliders) slider.addEventListener("input", show);
  show();
}
