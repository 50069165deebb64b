'use strict';
// What the reports of one run and of several have in common.

const numberColumn = (name, title) => ({name, title, isNumber: true});
const formatFixed = (value) => isNumber(value) ? value.toFixed(3) : kNone;
const madeText = (made) => `report of ${made.replace('T', ' ').replace('Z', ' UTC')}`;

function drawProblems(problems) {
  byId('problems').hidden = problems.length === 0;
  byId('problems')
      .querySelector('ul')
      .replaceChildren(...problems.map((problem) => element('li', {}, problem)));
}

// Of the steps of a run's curves; about, if they were thinned out. null without any.
function secondsInSteps(curves) {
  const times = pointsOf(curves.steps, 'step/time_s');
  if (times.length === 0) return null;
  return times.reduce((sum, point) => sum + point.y, 0) * curves.stride;
}

// A row of report.json as CostAccuracyPlot takes it.
const plottedArm = (name, all) => ({
  name,
  em: all.em,
  cost: all.cost_usd_per_1k,
  emInterval: all.em_interval,
  costInterval: all.cost_usd_per_1k_interval,
});

// Cost against accuracy, one point an arm of the evaluation, or a run of a group of runs, with 95 %
// intervals both ways and the front of those that no other beats in both.

function armColor({name, groupIndex}, models) {
  if (groupIndex !== undefined) return modelColor(groupIndex);
  if (name.startsWith('forced:')) return modelColor(models.indexOf(name.slice('forced:'.length)));
  return {
    trained: cssColor('--ink'),
    untrained: cssColor('--quiet'),
    oracle: cssColor('--model-7')
  }[name] ||
      cssColor('--model-other');
}
const kArmShapes = {
  trained: 'star',
  untrained: 'crossRot',
  random: 'triangle',
  oracle: 'rectRot'
};

// Arms that none is at once cheaper and better than, by cost. The oracle knows the answers: it is
// no way to route, and not on the front.
function paretoFront(arms) {
  const candidates =
      arms.filter((arm) => arm.name !== 'oracle').sort((a, b) => a.cost - b.cost || b.em - a.em);
  const front = [];
  for (const arm of candidates)
    if (front.length === 0 || arm.em > front[front.length - 1].em) front.push(arm);
  return front;
}

const kErrorBars = {
  id: 'errorBars',
  beforeDatasetsDraw(chart) {
    const {ctx, scales: {x, y}} = chart;
    ctx.save();
    ctx.lineWidth = 1.3;
    for (const dataset of chart.data.datasets) {
      for (const {x: cost, y: em, arm} of dataset.data) {
        if (!arm || !dataset.isArm) continue;
        ctx.strokeStyle = withAlpha(dataset.borderColor, 0.75);
        const at = [x.getPixelForValue(cost), y.getPixelForValue(em)];
        const clamp = (value) => Math.max(value, x.min);
        for (const [x0, y0, x1, y1] of [
                 [
                   x.getPixelForValue(clamp(arm.costInterval[0])), at[1],
                   x.getPixelForValue(clamp(arm.costInterval[1])), at[1]
                 ],
                 [
                   at[0], y.getPixelForValue(arm.emInterval[0]), at[0],
                   y.getPixelForValue(arm.emInterval[1])
                 ]]) {
          ctx.beginPath();
          ctx.moveTo(x0, y0);
          ctx.lineTo(x1, y1);
          const cap = x0 === x1 ? [4, 0] : [0, 4];
          for (const [cx, cy] of [[x0, y0], [x1, y1]]) {
            ctx.moveTo(cx - cap[0], cy - cap[1]);
            ctx.lineTo(cx + cap[0], cy + cap[1]);
          }
          ctx.stroke();
        }
      }
    }
    ctx.restore();
  },
  // Names beside the points that a reader looks for; the others are in the legend.
  afterDatasetsDraw(chart) {
    const {ctx, scales: {x, y}, chartArea} = chart;
    ctx.save();
    ctx.font = '12px system-ui, sans-serif';
    for (const dataset of chart.data.datasets) {
      if (!dataset.isNamed) continue;
      const {x: cost, y: em} = dataset.data[0];
      const left = x.getPixelForValue(cost);
      const isAtRight = left + 12 + ctx.measureText(dataset.label).width > chartArea.right;
      ctx.textAlign = isAtRight ? 'right' : 'left';
      ctx.fillStyle = cssColor('--ink');
      ctx.fillText(dataset.label, left + (isAtRight ? -10 : 10), y.getPixelForValue(em) - 9);
    }
    ctx.restore();
  },
};

class CostAccuracyPlot {
  // arms: [{name, em, cost, emInterval, costInterval, group, groupIndex}]; those of a group have one
  // colour and one entry in the legend
  constructor(parent, arms, models, note = '') {
    this.arms = arms;
    this.models = models;
    this.canvas = element(
        'canvas',
        {role: 'img', 'aria-label': 'exact match against cost per 1,000 questions, of every arm'});
    this.legend = element('ul', {class: 'legend'});
    parent.append(element(
        'figure', {class: 'card', 'data-plot': 'Cost and accuracy'},
        element(
            'figcaption', {}, element('strong', {}, 'Cost and accuracy'), ' ',
            element(
                'span', {class: 'quiet'},
                ['95 % intervals', 'the line joins what no other beats in both', note]
                    .filter(Boolean)
                    .join('; '))),
        this.legend, element('div', {class: 'plot'}, this.canvas)));
    kPlots.push(this);
    this.redraw();
  }

  redraw() {
    if (this.chart) this.chart.destroy();
    const front = paretoFront(this.arms);
    const datasets = this.arms.map((arm) => {
      const color = armColor(arm, this.models);
      return {
        label: arm.name,
        isArm: true,
        isNamed: arm.name === 'oracle' || (front.includes(arm) && arm.group === undefined),
        data: [{x: arm.cost, y: arm.em, arm}],
        borderColor: color,
        backgroundColor: color,
        showLine: false,
        pointStyle: kArmShapes[arm.group === undefined ? arm.name : 'trained'] || 'circle',
        pointRadius: arm.name === 'trained' ? 9 : 5.5,
        borderWidth: arm.name === 'trained' ? 2.5 : 1.5,
        order: 1
      };
    });
    datasets.push({
      label: 'front',
      data: front.map((arm) => ({x: arm.cost, y: arm.em})),
      showLine: true,
      borderColor: withAlpha(cssColor('--quiet'), 0.8),
      borderWidth: 1.2,
      borderDash: [5, 4],
      pointRadius: 0,
      pointHitRadius: 0,
      isSilent: true,
      order: 2
    });
    const entries = new Map(this.arms.map((arm) => [arm.group ?? arm.name, arm]));
    this.legend.replaceChildren(...[...entries].map(([name, arm]) => {
      const swatch = element('i', {class: 'swatch'});
      swatch.style.background = armColor(arm, this.models);
      const isOnFront = front.some((one) => (one.group ?? one.name) === name);
      return element(
          'li', {}, swatch, name,
          isOnFront ? element('span', {class: 'quiet'}, ' on the front') : null, ' ');
    }));
    this.chart = new Chart(
        this.canvas,
        {type: 'scatter', data: {datasets}, plugins: [kErrorBars], options: this.options()});
  }

  options() {
    const ink = cssColor('--quiet'), rule = cssColor('--rule');
    // Prices that lie far apart need a logarithmic axis, which zero has no place on.
    const costs = this.arms.map((arm) => arm.cost);
    const isWide = Math.min(...costs) > 0 && Math.max(...costs) > 8 * Math.min(...costs);
    const axis = (text) => ({
      grid: {color: rule, drawBorder: false},
      title: {display: true, text, color: ink},
      ticks: {color: ink, maxRotation: 0}
    });
    const x = axis(`$ per 1,000 questions${isWide ? ', logarithmic' : ''}`);
    const y = axis('exact match');
    const tick = (value) =>
        !isWide || /^[125](e|\.0)/.test(value.toExponential(1)) ? formatTick(value, 'usd') : '';
    return {
      animation: false,
      maintainAspectRatio: false,
      parsing: false,
      scales: {
        x: {
          ...x,
          type: isWide ? 'logarithmic' : 'linear',
          ticks: {...x.ticks, callback: tick},
          min: isWide ? 0.7 * Math.min(...costs) : undefined,
          max: isWide ? 1.4 * Math.max(...this.arms.map((arm) => arm.costInterval[1])) : undefined,
          suggestedMin: 0
        },
        y: {...y, suggestedMin: 0, suggestedMax: 1},
      },
      plugins: {
        legend: {display: false},
        tooltip: {
          filter: (item) => !item.dataset.isSilent,
          backgroundColor: cssColor('--ink'),
          bodyColor: cssColor('--paper'),
          callbacks: {
            label: (item) => {
              const arm = item.raw.arm;
              return `${arm.name}: EM ${formatNumber(arm.em)} [${
                  arm.emInterval.map(formatNumber).join(', ')}] at ${formatUsd(arm.cost)} [${
                  arm.costInterval.map(formatUsd).join(', ')}]`;
            }
          },
        },
      },
    };
  }
}
