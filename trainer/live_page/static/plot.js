'use strict';
// A plot over steps, on Chart.js: curves, stacked shares, bands.
// A plot draws into a canvas, where text cannot become markup.

// Colour-blind safe (Okabe and Ito 2008, with three more); a model has its colour in every plot.
const kModelColors = 10;
const kOther = 'other models';
const kMaxMarkedPoints = 60;  // of a curve with a band: with more the marks hide it

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
function modelColor(index) {
  return cssColor(index < kModelColors ? `--model-${index}` : '--model-other');
}
// Its class follows the theme by itself.
function modelSwatch(index) {
  return element(
      'i', {class: `swatch model-${index >= 0 && index < kModelColors ? index : 'other'}`});
}
function withAlpha(hex, alpha) {
  return hex + Math.round(255 * alpha).toString(16).padStart(2, '0');
}

// {x, y} of the steps that have the metric.
function pointsOf(table, metric) {
  const values = table.metrics[metric];
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
    return {x, y: sum / total, measured: y};
  });
}

const kPlots = [];  // all, for a change of theme

class Plot {
  // spec: {title, unit, axis (its label, if it is not the unit), format, kind: "lines" | "stack",
  //        min, max, isOptional (not shown while it has no data), isExact (never smoothed),
  //        series: () => [{metric, label, color, table: "steps" | "evaluations", interval, dash}]}
  // `series` is asked at every update: models and sources become known as the run goes.
  constructor(parent, spec) {
    this.spec = spec;
    this.hidden = new Set();
    this.legend = element('ul', {class: 'legend'});
    this.canvas =
        element('canvas', {role: 'img', 'aria-label': `${spec.title}, ${spec.unit}, over steps`});
    this.empty = element('p', {class: 'empty'}, 'nothing yet');
    const title = element(
        'figcaption', {}, element('strong', {}, spec.title), ' ',
        element('span', {class: 'quiet'}, spec.unit));
    this.figure = element(
        'figure', {class: 'card', 'data-plot': spec.title}, title, this.legend,
        element('div', {class: 'plot'}, this.canvas, this.empty));
    parent.append(this.figure);
    this.chart = null;
    kPlots.push(this);
  }

  update(data, smoothing) {
    this.last = [data, smoothing];
    const series = this.spec.series(data).map(
        (one) => ({
          table: 'steps',
          ...one,
          points: one.points || pointsOf(data[one.table || 'steps'], one.metric)
        }));
    const shown = series.filter((one) => one.points.length > 0);
    const isOptional = this.spec.isOptional && shown.length === 0;
    this.figure.hidden = isOptional;
    this.empty.hidden = shown.length > 0;
    this.canvas.hidden = shown.length === 0;
    this.drawLegend(shown);
    if (shown.length === 0) return;
    const datasets =
        shown.flatMap((one) => this.datasetsOf(one, this.spec.isExact ? 0 : smoothing));
    // The same steps in every plot, so that what happened together stands one below the other.
    const range = {min: data.steps.steps[0], max: data.steps.steps[data.steps.steps.length - 1]};
    if (this.chart !== null) Object.assign(this.chart.options.scales.x, range);
    if (this.chart === null) {
      this.chart =
          new Chart(this.canvas, {type: 'line', data: {datasets}, options: this.options(range)});
    } else {
      this.chart.data.datasets = datasets;
      this.chart.update('none');
    }
  }

  redraw() {
    if (this.chart !== null) this.chart.destroy();
    this.chart = null;
    if (this.last) this.update(...this.last);
  }

  datasetsOf(one, smoothing) {
    const isHidden = this.hidden.has(one.label);
    const isRough = smoothing > 0 && one.table === 'steps' && one.points.length > 10;
    const line = {
      label: one.label,
      data: one.points,
      borderColor: one.color,
      backgroundColor: one.color,
      borderWidth: 1.8,
      pointRadius: one.points.length === 1 ? 3 : 0,
      pointHitRadius: 6,
      tension: 0,
      borderDash: one.dash,
      hidden: isHidden,
      order: one.table === 'steps' ? 2 : 1
    };
    if (this.spec.kind === 'stack') {
      return [{
        ...line,
        // The average is linear: shares still add up to one.
        data: isRough ? smooth(one.points, smoothing) : one.points,
        fill: 'stack',
        borderWidth: 0.5,
        backgroundColor: withAlpha(one.color, 0.8),
        stack: 'all'
      }];
    }
    if (one.interval) {
      const edge = (which) => one.points.map(({x, y}, i) => ({x, y: one.interval(i, y)[which]}));
      const band = {...line, borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isSilent: true};
      return [
        {...band, data: edge(0), fill: false},
        {...band, data: edge(1), fill: '-1', backgroundColor: withAlpha(one.color, 0.18)},
        {...line, pointRadius: one.points.length > kMaxMarkedPoints ? 0 : 2.5}
      ];
    }
    if (!isRough) return [line];
    return [
      {...line, borderColor: withAlpha(one.color, 0.25), borderWidth: 1, order: 3},
      {...line, data: smooth(one.points, smoothing), isSilent: true}
    ];
  }

  options(range) {
    const spec = this.spec;
    const ink = cssColor('--quiet'), rule = cssColor('--rule');
    const format = kFormats[spec.format || 'number'];
    const axis = {
      grid: {color: rule, drawBorder: false},
      ticks: {color: ink, maxRotation: 0, font: {size: 11}},
      title: {display: true, color: ink, font: {size: 11}}
    };
    const tooltip = {
      filter: (item) => !item.dataset.isSilent,
      backgroundColor: cssColor('--ink'),
      titleColor: cssColor('--paper'),
      bodyColor: cssColor('--paper'),
      boxPadding: 4,
      callbacks: {
        title: (items) => items.length ? 'step ' + items[0].parsed.x : '',
        label: (item) => ` ${item.dataset.label}: ${format(item.raw.measured ?? item.parsed.y)}`,
      },
    };
    return {
      animation: false,
      maintainAspectRatio: false,
      normalized: true,
      parsing: false,
      interaction: {mode: spec.kind === 'stack' ? 'index' : 'nearest', axis: 'x', intersect: false},
      scales: {
        x: {
          ...axis,
          ...range,
          type: 'linear',
          ticks: {...axis.ticks, precision: 0, maxTicksLimit: 7, includeBounds: false},
          title: {...axis.title, text: 'step'}
        },
        y: {
          ...axis,
          type: 'linear',
          stacked: spec.kind === 'stack',
          min: spec.min,
          suggestedMax: spec.max,
          max: spec.kind === 'stack' ? spec.max : undefined,
          ticks: {
            ...axis.ticks,
            maxTicksLimit: 6,
            callback: (value) => formatTick(value, spec.format)
          },
          title: {...axis.title, text: spec.axis || spec.unit}
        },
      },
      plugins: {legend: {display: false}, tooltip},
    };
  }

  // Labels with the newest values; a click hides a series.
  drawLegend(series) {
    const format = kFormats[this.spec.format || 'number'];
    const items = series.map((one) => {
      const newest = one.points[one.points.length - 1];
      const swatch = element('i', {class: one.dash ? 'swatch dashed' : 'swatch'});
      swatch.style.background = one.color;
      const button = element(
          'button', {
            type: 'button',
            'aria-pressed': String(!this.hidden.has(one.label)),
            title: `step ${newest.x}; click to hide or show`
          },
          swatch, one.label, ' ',
          element(
              'b', {'data-metric': one.metric, 'data-step': newest.x, 'data-value': newest.y},
              format(newest.y)));
      button.addEventListener('click', () => {
        if (!this.hidden.delete(one.label)) this.hidden.add(one.label);
        this.update(...this.last);
      });
      return element('li', {}, button);
    });
    this.legend.replaceChildren(...items);
  }
}

function redrawPlots() {
  for (const plot of kPlots) plot.redraw();
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawPlots);
