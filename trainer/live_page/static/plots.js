"use strict";
// Every plot of the page and of the report, on Chart.js: curves over steps, stacked shares, bands.
// A plot draws into a canvas, where text cannot become markup.

// Colour-blind safe (Okabe and Ito 2008, with three more); a model has its colour in every plot.
const kModelColors = 10;
const kOther = "other models";

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
function modelColor(index) {
  return cssColor(index < kModelColors ? `--model-${index}` : "--model-other");
}
// Its class follows the theme by itself.
function modelSwatch(index) {
  return element("i", {class: `swatch model-${index >= 0 && index < kModelColors ? index : "other"}`});
}
function withAlpha(hex, alpha) {
  return hex + Math.round(255 * alpha).toString(16).padStart(2, "0");
}

// {x, y} of the steps that have the figure.
function pointsOf(table, figure) {
  const values = table.figures[figure];
  if (!values) return [];
  const points = [];
  for (let i = 0; i < table.steps.length; ++i) {
    if (isNumber(values[i])) points.push({x: table.steps[i], y: values[i]});
  }
  return points;
}

// Exponential moving average that begins without a bias (Kingma and Ba 2015).
function smooth(points, weight) {
  let sum = 0, total = 0;
  return points.map(({x, y}) => {
    sum = weight * sum + (1 - weight) * y;
    total = weight * total + (1 - weight);
    return {x, y: sum / total};
  });
}

const kPlots = [];  // all, for a change of theme

class Plot {
  // spec: {title, unit, axis (its label, if it is not the unit), format, kind: "lines" | "stack", min, max,
  //        isOptional (not shown while it has no data), isExact (never smoothed),
  //        series: () => [{figure, label, color, table: "steps" | "evaluations", interval, dash}]}
  // `series` is asked at every update: models and sources become known as the run goes.
  constructor(parent, spec) {
    this.spec = spec;
    this.hidden = new Set();
    this.legend = element("ul", {class: "legend"});
    this.canvas = element("canvas", {role: "img", "aria-label": `${spec.title}, ${spec.unit}, over steps`});
    this.empty = element("p", {class: "empty"}, "nothing yet");
    const title = element("figcaption", {}, element("strong", {}, spec.title), " ", element("span", {class: "quiet"}, spec.unit));
    this.figure = element("figure", {class: "card", "data-plot": spec.title}, title, this.legend,
                          element("div", {class: "plot"}, this.canvas, this.empty));
    parent.append(this.figure);
    this.chart = null;
    kPlots.push(this);
  }

  update(data, smoothing) {
    this.last = [data, smoothing];
    const series = this.spec.series(data).map((one) =>
      ({table: "steps", ...one, points: one.points || pointsOf(data[one.table || "steps"], one.figure)}));
    const shown = series.filter((one) => one.points.length > 0);
    const isOptional = this.spec.isOptional && shown.length === 0;
    this.figure.hidden = isOptional;
    this.empty.hidden = shown.length > 0;
    this.canvas.hidden = shown.length === 0;
    this.drawLegend(shown);
    if (shown.length === 0) return;
    const datasets = shown.flatMap((one) => this.datasetsOf(one, this.spec.isExact ? 0 : smoothing));
    // The same steps in every plot, so that what happened together stands one below the other.
    const range = {min: data.steps.steps[0], max: data.steps.steps[data.steps.steps.length - 1]};
    if (this.chart !== null) Object.assign(this.chart.options.scales.x, range);
    if (this.chart === null) {
      this.chart = new Chart(this.canvas, {type: "line", data: {datasets}, options: this.options(range)});
    } else {
      this.chart.data.datasets = datasets;
      this.chart.update("none");
    }
  }

  redraw() {
    if (this.chart !== null) this.chart.destroy();
    this.chart = null;
    if (this.last) this.update(...this.last);
  }

  datasetsOf(one, smoothing) {
    const isHidden = this.hidden.has(one.label);
    const line = {label: one.label, data: one.points, borderColor: one.color, backgroundColor: one.color,
                  borderWidth: 1.8, pointRadius: one.points.length === 1 ? 3 : 0, pointHitRadius: 6, tension: 0,
                  borderDash: one.dash, hidden: isHidden, order: one.table === "steps" ? 2 : 1};
    if (this.spec.kind === "stack") {
      return [{...line, fill: "stack", borderWidth: 0.5, backgroundColor: withAlpha(one.color, 0.8), stack: "all"}];
    }
    if (one.interval) {
      const edge = (which) => one.points.map(({x, y}, i) => ({x, y: one.interval(i, y)[which]}));
      const band = {...line, borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isSilent: true};
      return [{...band, data: edge(0), fill: false},
              {...band, data: edge(1), fill: "-1", backgroundColor: withAlpha(one.color, 0.18)},
              {...line, pointRadius: 2.5}];
    }
    const isRough = smoothing > 0 && one.table === "steps" && one.points.length > 10;
    if (!isRough) return [line];
    return [{...line, borderColor: withAlpha(one.color, 0.25), borderWidth: 1, order: 3},
            {...line, data: smooth(one.points, smoothing), isSilent: true}];
  }

  options(range) {
    const spec = this.spec;
    const ink = cssColor("--quiet"), rule = cssColor("--rule");
    const format = kFormats[spec.format || "number"];
    const axis = {grid: {color: rule, drawBorder: false}, ticks: {color: ink, maxRotation: 0, font: {size: 11}}, title: {display: true, color: ink, font: {size: 11}}};
    const tooltip = {
      filter: (item) => !item.dataset.isSilent, backgroundColor: cssColor("--ink"), titleColor: cssColor("--paper"),
      bodyColor: cssColor("--paper"), boxPadding: 4,
      callbacks: {
        title: (items) => items.length ? "step " + items[0].parsed.x : "",
        label: (item) => ` ${item.dataset.label}: ${format(item.parsed.y)}`,
      },
    };
    return {
      animation: false, maintainAspectRatio: false, normalized: true, parsing: false,
      interaction: {mode: spec.kind === "stack" ? "index" : "nearest", axis: "x", intersect: false},
      scales: {
        x: {...axis, ...range, type: "linear", ticks: {...axis.ticks, precision: 0, maxTicksLimit: 7, includeBounds: false}, title: {...axis.title, text: "step"}},
        y: {...axis, type: "linear", stacked: spec.kind === "stack", min: spec.min, suggestedMax: spec.max,
            max: spec.kind === "stack" ? spec.max : undefined,
            ticks: {...axis.ticks, maxTicksLimit: 6, callback: (value) => formatTick(value, spec.format)}, title: {...axis.title, text: spec.axis || spec.unit}},
      },
      plugins: {legend: {display: false}, tooltip},
    };
  }

  // Labels with the newest values; a click hides a series.
  drawLegend(series) {
    const format = kFormats[this.spec.format || "number"];
    const items = series.map((one) => {
      const newest = one.points[one.points.length - 1];
      const swatch = element("i", {class: one.dash ? "swatch dashed" : "swatch"});
      swatch.style.background = one.color;
      const button = element("button", {type: "button", "aria-pressed": String(!this.hidden.has(one.label)), title: `step ${newest.x}; click to hide or show`},
        swatch, one.label, " ", element("b", {"data-figure": one.figure, "data-step": newest.x, "data-value": newest.y}, format(newest.y)));
      button.addEventListener("click", () => {
        if (!this.hidden.delete(one.label)) this.hidden.add(one.label);
        this.update(...this.last);
      });
      return element("li", {}, button);
    });
    this.legend.replaceChildren(...items);
  }
}

function redrawPlots() {
  for (const plot of kPlots) plot.redraw();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawPlots);

// ---- the curves of a run, section by section

// Names behind "pool/share:", in the pool's order; the plots have colours for kModelColors of them.
function shareSeries(data, prefix, table) {
  const models = data.models.filter((model) => data[table].figures[prefix + model]);
  const total = (model) => data[table].figures[prefix + model].reduce((sum, value) => sum + (value || 0), 0);
  const most = new Set([...models].sort((a, b) => total(b) - total(a)).slice(0, kModelColors));
  const series = models.filter((model) => most.has(model)).map((model) =>
    ({figure: prefix + model, label: model, table, color: modelColor(data.models.indexOf(model))}));
  const rest = models.filter((model) => !most.has(model));
  if (rest.length > 0) {
    const points = data[table].steps.map((x, i) => ({x, y: rest.reduce((sum, model) => sum + (data[table].figures[prefix + model][i] || 0), 0)}));
    series.push({figure: prefix + kOther, label: kOther, table, color: cssColor("--model-other"), points});
  }
  return series;
}

function sourceSeries(data, prefix, table) {
  const names = Object.keys(data[table].figures).filter((name) => name.startsWith(prefix)).sort();
  return names.map((name, i) => ({figure: name, label: name.slice(prefix.length), table, color: modelColor(i), dash: i >= kModelColors ? [4, 3] : undefined}));
}

function heldOut(data, figure, label, color) {
  const counts = pointsOf(data.evaluations, "evaluation/count");
  return {figure, label, color, table: "evaluations", interval: (i, y) => wilsonInterval(y, counts[i] ? counts[i].y : 0)};
}

// figure → series, coloured one after the other
function lines(...figures) {
  return () => figures.map(([figure, label, table = "steps"], i) => ({figure, label, table, color: cssColor(`--series-${i}`)}));
}

const kSections = {
  learning: [
    {title: "Reward", unit: "mean over the step's episodes", axis: "reward", series: lines(["episode/reward_mean", "training"], ["evaluation/reward_mean", "held out", "evaluations"])},
    {title: "Held-out exact match", unit: "share, 95 % Wilson interval", axis: "EM", min: 0, max: 1, isOptional: true,
     series: (data) => [heldOut(data, "evaluation/em", "EM", cssColor("--series-1"))]},
    {title: "Exact match and F1", unit: "training episodes, sampled", axis: "EM, F1", min: 0, max: 1, series: lines(["episode/em", "EM"], ["episode/f1", "F1"], ["evaluation/f1", "F1 held out", "evaluations"])},
    {title: "EM per data source", unit: "training", axis: "EM", min: 0, max: 1, isOptional: true, series: (data) => sourceSeries(data, "episode/em:", "steps")},
    {title: "F1 per data source", unit: "training", axis: "F1", min: 0, max: 1, isOptional: true, series: (data) => sourceSeries(data, "episode/f1:", "steps")},
    {title: "Held-out EM per data source", unit: "greedy", axis: "EM", min: 0, max: 1, isOptional: true, series: (data) => sourceSeries(data, "evaluation/em:", "evaluations")},
  ],
  routing: [
    {title: "Model share", unit: "share of the training episodes' calls", axis: "share of calls", format: "share", kind: "stack", min: 0, max: 1, series: (data) => shareSeries(data, "pool/share:", "steps")},
    {title: "Held-out model share", unit: "share of calls", axis: "share of calls", format: "share", kind: "stack", min: 0, max: 1, isOptional: true, series: (data) => shareSeries(data, "evaluation/share:", "evaluations")},
    {title: "Cost", unit: "$ per 1,000 questions", format: "usd", min: 0, series: lines(["episode/cost_usd_per_1k", "training"], ["evaluation/cost_usd_per_1k", "held out", "evaluations"])},
    {title: "Spent", isExact: true, unit: "$, all committed episodes", axis: "$", format: "usd", min: 0, series: lines(["run/cost_usd", "spent"])},
    {title: "Calls and rounds", unit: "per episode", axis: "per episode", min: 0, series: lines(["episode/calls", "calls"], ["episode/rounds", "rounds"], ["episode/invalid_actions", "invalid actions"])},
    {title: "Routing entropy", unit: "nats, of the shares", axis: "nats", min: 0, series: lines(["pool/share_entropy_nats", "training"], ["evaluation/share_entropy_nats", "held out", "evaluations"])},
    {title: "Failed calls", unit: "calls per step", axis: "calls", min: 0, series: lines(["pool/failed_calls", "failed calls"], ["episode/pool_failed", "episodes given up"])},
    {title: "Pool latency", unit: "ms, mean", axis: "ms", min: 0, series: lines(["pool/latency_mean_ms", "mean"])},
  ],
  optimisation: [
    {title: "Loss", unit: "nats, or 1", axis: "loss", series: lines(["policy/loss", "policy"], ["critic/loss", "critic"])},
    {title: "KL", unit: "nats per token", series: lines(["policy/approximate_kl_nats", "old − new"], ["policy/sampler_gap_nats", "sampler gap"], ["policy/reference_kl_nats", "to reference"])},
    {title: "Policy entropy", unit: "nats per token", axis: "nats per token", min: 0, series: lines(["policy/entropy_nats", "entropy"])},
    {title: "Clip share", unit: "share of tokens", axis: "share of tokens", format: "share", min: 0, series: lines(["policy/clip_share", "policy"], ["critic/clip_share", "critic"])},
    {title: "Gradient norm", unit: "L2, before clipping", axis: "L2 norm", min: 0, series: lines(["policy/gradient_norm", "policy"], ["critic/gradient_norm", "critic"])},
    {title: "Learning rate", isExact: true, unit: "1", axis: "learning rate", min: 0, series: lines(["policy/learning_rate", "learning rate"])},
  ],
  throughput: [
    {title: "Tokens per second", unit: "over the whole step", axis: "tokens per s", min: 0, series: lines(["step/tokens_per_s", "tokens/s"])},
    {title: "Where a step's time goes", unit: "s", format: "seconds", kind: "stack", min: 0,
     series: lines(["trainer/wait_for_batch_s", "waiting for episodes"], ["step/update_s", "update"], ["step/publish_s", "publishing weights"])},
    {title: "Who waits for whom", unit: "s per step", format: "seconds", min: 0, series: lines(["trainer/wait_for_batch_s", "trainer for episodes"], ["worker/wait_for_lease_s", "a worker for a lease"])},
    {title: "Episode length", unit: "tokens", min: 0, series: lines(["episode/tokens", "all tokens"], ["episode/policy_tokens", "written by the policy"])},
    {title: "Workers", isExact: true, unit: "live workers", axis: "workers", format: "count", min: 0, isOptional: true, series: lines(["workers/count", "workers"])},
    {title: "Leases lost", isExact: true, unit: "per step", axis: "leases", format: "count", min: 0, isOptional: true, series: lines(["workers/leases_expired", "expired"], ["workers/duplicates", "duplicates"])},
  ],
};

// Into the .grid of each section of that id; hands back what updates them all.
function makeSectionPlots() {
  const plots = [];
  for (const [id, specs] of Object.entries(kSections)) {
    const grid = byId(id).querySelector(".grid");
    for (const spec of specs) plots.push(new Plot(grid, {isOptional: id === "optimisation" || spec.isOptional, ...spec}));
  }
  return (data, smoothing) => {
    for (const plot of plots) plot.update(data, smoothing);
  };
}
