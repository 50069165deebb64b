'use strict';
// The report of several runs: everything is in the page itself.

const data = JSON.parse(byId('data').textContent);
const kAlive = 0.01;     // of the calls: a model with less counts as lost
const kSmoothing = 0.9;  // of a run's training curves, before they become a group's

const groups = data.groups.map((group, index) => ({
                                 name: group.name,
                                 index,
                                 differs: group.differs,
                                 runs: group.runs.map((place) => data.runs[place])
                               }));

// {mean, least, largest, count} of the numbers among the values; null without any.
function summary(values) {
  const numbers = values.filter(isNumber);
  if (numbers.length === 0) return null;
  return {
    mean: numbers.reduce((sum, value) => sum + value, 0) / numbers.length,
    least: Math.min(...numbers),
    largest: Math.max(...numbers),
    count: numbers.length
  };
}

// A group's curve: mean, least and largest of its runs, at each step that all runs have which went as
// far. So runs that were thinned out, or ended early, make no jags.
function bandOf(runs, table, metric, smoothing) {
  const curves = runs.map((run) => pointsOf(run.curves[table], metric))
                     .filter((points) => points.length > 0)
                     .map((points) => smoothing > 0 ? smooth(points, smoothing) : points);
  const byStep = new Map();
  for (const points of curves) {
    for (const {x, y} of points) {
      if (!byStep.has(x)) byStep.set(x, []);
      byStep.get(x).push(y);
    }
  }
  const covering = (step) =>
      curves.filter((points) => points[0].x <= step && points[points.length - 1].x >= step).length;
  return [...byStep]
      .filter(([x, values]) => values.length === covering(x))
      .sort((a, b) => a[0] - b[0])
      .map(([x, values]) => {
        const {mean, least, largest} = summary(values);
        return {x, y: mean, least, largest};
      });
}

function groupSeries(metric, table = 'steps') {
  return () => groups.map((group) => {
    const points = bandOf(group.runs, table, metric, table === 'steps' ? kSmoothing : 0);
    return {
      metric,
      label: group.name,
      color: modelColor(group.index),
      table: 'evaluations',  // as it is: it is smoothed already
      points,
      isDotted: table === 'evaluations',
      interval: group.runs.length > 1 ? (i) => [points[i].least, points[i].largest] : null
    };
  });
}

// One group's mean share of each model, stacked.
function meanShares(group) {
  const models = [...new Set(group.runs.flatMap((run) => run.models))];
  return models
      .map((model) => ({
             metric: `pool/share:${model}`,
             label: model,
             color: modelColor(models.indexOf(model)),
             table: 'evaluations',
             points: bandOf(group.runs, 'steps', `pool/share:${model}`, kSmoothing)
           }))
      .filter((series) => series.points.length > 0);
}

const kComparisonSections = {
  learning: [
    {
      title: 'Held-out exact match',
      unit: 'greedy',
      axis: 'EM',
      min: 0,
      max: 1,
      series: groupSeries('evaluation/em', 'evaluations')
    },
    {
      title: 'Exact match in training',
      unit: 'sampled',
      axis: 'EM',
      min: 0,
      max: 1,
      series: groupSeries('episode/em')
    },
    {
      title: 'F1 in training',
      unit: 'sampled',
      axis: 'F1',
      min: 0,
      max: 1,
      series: groupSeries('episode/f1')
    },
    {
      title: 'Reward',
      unit: 'mean over the step\'s episodes',
      axis: 'reward',
      series: groupSeries('episode/reward_mean')
    },
    {
      title: 'Groups without a difference',
      unit: 'share of the questions\' groups',
      format: 'share',
      min: 0,
      max: 1,
      series: groupSeries('episode/even_groups')
    },
  ],
  routing: [
    {
      title: 'Cost',
      unit: '$ per 1,000 questions, training',
      format: 'usd',
      min: 0,
      series: groupSeries('episode/cost_usd_per_1k')
    },
    {
      title: 'Held-out cost',
      unit: '$ per 1,000 questions',
      format: 'usd',
      min: 0,
      series: groupSeries('evaluation/cost_usd_per_1k', 'evaluations')
    },
    {
      title: 'Spent',
      unit: '$, all committed episodes',
      axis: '$',
      format: 'usd',
      min: 0,
      series: groupSeries('run/cost_usd')
    },
    {
      title: 'Routing entropy',
      unit: 'nats, of the shares',
      axis: 'nats',
      min: 0,
      series: groupSeries('pool/share_entropy_nats')
    },
  ],
  optimisation: [
    {
      title: 'KL to the reference',
      unit: 'nats per token',
      series: groupSeries('policy/reference_kl_nats')
    },
    {
      title: 'Entropy at models\' names',
      unit: 'nats per token',
      min: 0,
      series: groupSeries('policy/name_entropy_nats')
    },
    {
      title: 'Policy entropy',
      unit: 'nats per token',
      min: 0,
      series: groupSeries('policy/entropy_nats')
    },
    {
      title: 'Gradient norm',
      unit: 'L2, before clipping',
      axis: 'L2 norm',
      min: 0,
      series: groupSeries('policy/gradient_norm')
    },
  ],
};

const trainedOf = (run) => run.evaluation && run.evaluation.trained;

function lowestSource(run) {
  const sources = Object.entries((trainedOf(run) || {}).by_source || {});
  if (sources.length === 0) return null;
  return sources.reduce((lowest, one) => one[1].em < lowest[1].em ? one : lowest);
}

function modelsAlive(run) {
  const trained = trainedOf(run);
  if (!trained || !trained.share) return null;
  return Object.values(trained.share).filter((share) => share >= kAlive).length;
}

function spentBy(run) {
  const points = pointsOf(run.curves.steps, 'run/cost_usd');
  return points.length > 0 ? points[points.length - 1].y : null;
}

function drawHead() {
  const runs = data.runs.length === 1 ? 'one run' : `${data.runs.length} runs`;
  const parts = groups.length === 1 ? 'one group' : `${groups.length} groups`;
  setText(byId('title'), `${runs} in ${parts}`);
  document.title = `${groups.map((group) => group.name).join(', ')} · comparison`;
  setText(byId('made'), madeText(data.made));
  drawProblems(data.problems);
}

// Mean [least, largest]; data-* for those who read the page by a program.
function spread(group, key, values, format) {
  const all = summary(values);
  if (all === null) return kNone;
  return element(
      'span', {
        'data-group': group.name,
        'data-key': key,
        'data-mean': all.mean,
        'data-least': all.least,
        'data-largest': all.largest
      },
      format(all.mean),
      all.count < values.length ? element('span', {class: 'quiet'}, ` of ${all.count}`) : null,
      all.count > 1 ?
          element('span', {class: 'quiet'}, ` [${format(all.least)}, ${format(all.largest)}]`) :
          null);
}

function swatchOf(group) {
  return modelSwatch(group.index);
}

function drawGroups() {
  const isMany = groups.some((group) => group.runs.length > 1);
  setText(
      byId('groups-summary'),
      `of the evaluations in report.json${
          isMany ? ': mean and [least, largest] over the runs' :
                   ''}; a model is alive with 1 % of the calls`);
  fillTable(
      byId('group-table'),
      [
        {name: 'group'}, numberColumn('runs'), numberColumn('EM'), numberColumn('F1'),
        numberColumn('lowest source'), numberColumn('$ per 1,000'), numberColumn('calls'),
        numberColumn('models alive'), numberColumn('time in steps'), numberColumn('spent'),
        {name: 'settings that differ from the first group\'s', isLong: true}
      ],
      groups.map((group) => {
        const of = (key, read, format) => spread(group, key, group.runs.map(read), format);
        return [
          element('span', {}, swatchOf(group), element('strong', {}, group.name)),
          formatCount(group.runs.length), of('em', (run) => (trainedOf(run) || {}).em, formatFixed),
          of('f1', (run) => (trainedOf(run) || {}).f1, formatFixed),
          of('lowest_source', (run) => (lowestSource(run) || [null, {}])[1].em, formatFixed),
          of('cost_usd_per_1k', (run) => (trainedOf(run) || {}).cost_usd_per_1k, formatUsd),
          of('calls', (run) => (trainedOf(run) || {}).calls_per_question, formatNumber),
          of('models_alive', modelsAlive, formatNumber),
          of('time_s', (run) => secondsInSteps(run.curves), formatSeconds),
          of('spent', spentBy, formatUsd),
          group.differs.length === 0 ? kNone : group.differs.join('; ')
        ];
      }));
}

function drawEvaluation() {
  const evaluated = data.runs.filter(trainedOf);
  byId('evaluation').hidden = evaluated.length === 0;
  byId('no-evaluation').hidden = evaluated.length > 0;
  if (evaluated.length === 0) return;
  const arms = groups.flatMap(
      (group) => group.runs.filter(trainedOf).map((run) => ({
                                                    ...plottedArm(run.run, trainedOf(run)),
                                                    group: group.name,
                                                    groupIndex: group.index
                                                  })));
  // What was evaluated beside the first run that has such arms; random and forced ones are asked its
  // policy's questions.
  const compared = evaluated.find((run) => Object.keys(run.evaluation).length > 1);
  const baselines =
      compared ? Object.entries(compared.evaluation).filter(([name]) => name !== 'trained') : [];
  arms.push(...baselines.map(([name, all]) => plottedArm(name, all)));
  new CostAccuracyPlot(
      byId('cost-accuracy'), arms, compared ? compared.models : [],
      baselines.length > 0 ? `baselines of ${compared.run}` : '');
  drawSources();
}

function drawSources() {
  const sources = [
    ...new Set(data.runs.flatMap((run) => Object.keys((trainedOf(run) || {}).by_source || {})))
  ].sort();
  byId('sources').hidden = sources.length < 2;
  if (sources.length < 2) return;
  fillTable(
      byId('source-table'), [{name: 'group'}, ...sources.map((source) => numberColumn(source))],
      groups.map(
          (group) =>
              [element('span', {}, swatchOf(group), element('strong', {}, group.name)),
               ...sources.map(
                   (source) => spread(
                       group, `em:${source}`,
                       group.runs.map(
                           (run) => (((trainedOf(run) || {}).by_source || {})[source] || {}).em),
                       formatFixed))]));
}

function drawRuns() {
  const interval = (range, format) =>
      range ? element('span', {class: 'quiet'}, ` [${range.map(format).join(', ')}]`) : null;
  fillTable(
      byId('run-table'),
      [
        {name: 'run'}, {name: 'group'}, {name: 'state'}, numberColumn('steps'), numberColumn('EM'),
        numberColumn('lowest source'), numberColumn('$ per 1,000'), numberColumn('models alive'),
        numberColumn('time in steps'), numberColumn('spent'), {name: 'folder', isLong: true}
      ],
      groups.flatMap((group) => group.runs.map((run) => {
        const trained = trainedOf(run) || {};
        const lowest = lowestSource(run);
        const state = run.state ? run.state.state : 'unknown';
        return [
          element('strong', {'data-run': run.run}, run.run),
          element('span', {}, swatchOf(group), group.name),
          element('span', {class: 'state', 'data-state': state}, state),
          run.state ? formatCount(run.state.step) : kNone,
          element('span', {}, formatFixed(trained.em), interval(trained.em_interval, formatFixed)),
          lowest ? `${lowest[0]} ${formatFixed(lowest[1].em)}` : kNone,
          element(
              'span', {}, formatUsd(trained.cost_usd_per_1k),
              interval(trained.cost_usd_per_1k_interval, formatUsd)),
          formatNumber(modelsAlive(run)), formatSeconds(secondsInSteps(run.curves)),
          formatUsd(spentBy(run)), run.folder
        ];
      })));
}

function drawCurves() {
  const steps = data.runs.flatMap(
      (run) => run.curves.steps.steps.slice(0, 1).concat(run.curves.steps.steps.slice(-1)));
  byId('curves').hidden = steps.length === 0;
  if (steps.length === 0) return;
  // All plots over the steps of the longest run.
  const range = {
    steps: {steps: [Math.min(...steps), Math.max(...steps)], metrics: {}},
    evaluations: {steps: [], metrics: {}}
  };
  for (const [id, specs] of Object.entries(kComparisonSections)) {
    const grid = byId(id).querySelector('.grid');
    for (const spec of specs) new Plot(grid, {isOptional: true, ...spec}).update(range, 0);
  }
  const shares = byId('routing').querySelector('.grid');
  for (const group of groups) {
    new Plot(shares, {
      title: groups.length > 1 ? `Model share, ${group.name}` : 'Model share',
      unit: 'share of the training episodes\' calls, mean over the runs',
      axis: 'share of calls',
      format: 'share',
      kind: 'stack',
      min: 0,
      max: 1,
      isOptional: true,
      series: () => meanShares(group)
    }).update(range, 0);
  }
}

drawHead();
drawGroups();
drawEvaluation();
drawCurves();
drawRuns();
matchMedia('print').addEventListener('change', redrawPlots);
