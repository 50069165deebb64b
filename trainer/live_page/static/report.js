'use strict';
// The report: everything is in the page itself.

const data = JSON.parse(byId('data').textContent);
const curves = {
  models: data.models,
  ...data.curves
};

function drawHead() {
  setText(byId('run'), data.run);
  document.title = `${data.run} · report`;
  const state = data.state ? data.state.state : 'unknown';
  byId('state').dataset.state = state;
  setText(
      byId('state'),
      state === 'unknown' ?
          'how it ended is not on record' :
          `${state}, ${formatCount(data.state.step)}${
              data.total_steps ? ' of ' + formatCount(data.total_steps) : ''} steps`);
  setText(
      byId('made'),
      madeText(data.made) + (data.state && data.state.message ? ` · ${data.state.message}` : ''));
  drawProblems(data.problems);
}

function newest(metric, table = 'steps') {
  const points = pointsOf(curves[table], metric);
  return points.length > 0 ? points[points.length - 1] : null;
}

function tile(title, metric, format, table, note) {
  const point = newest(metric, table);
  if (point === null) return null;
  return element(
      'div', {class: 'tile'}, element('span', {class: 'quiet'}, title),
      element(
          'strong', {'data-metric': metric, 'data-value': point.y, 'data-step': point.x},
          format(point.y)),
      element('span', {class: 'quiet'}, note || `step ${formatCount(point.x)}`));
}

function drawTiles() {
  const times = pointsOf(curves.steps, 'step/time_s');
  const total = secondsInSteps(curves);
  const trained = data.evaluation && data.evaluation.trained;
  byId('tiles').replaceChildren(
      ...[trained ? element(
                        'div', {class: 'tile'}, element('span', {class: 'quiet'}, 'EM, evaluated'),
                        element(
                            'strong', {'data-arm': 'trained', 'data-value': trained.em},
                            formatNumber(trained.em)),
                        element(
                            'span', {class: 'quiet'},
                            `[${trained.em_interval.map(formatNumber).join(', ')}]`)) :
                    null,
          trained ? element(
                        'div', {class: 'tile'},
                        element('span', {class: 'quiet'}, '$ per 1,000, evaluated'),
                        element('strong', {}, formatUsd(trained.cost_usd_per_1k)),
                        element(
                            'span', {class: 'quiet'},
                            `[${trained.cost_usd_per_1k_interval.map(formatUsd).join(', ')}]`)) :
                    null,
          tile('EM, held out', 'evaluation/em', formatNumber, 'evaluations'),
          tile('EM, training', 'episode/em', formatNumber),
          tile('reward', 'episode/reward_mean', formatNumber),
          newest('episode/em') === null ? tile('loss', 'policy/loss', formatNumber) : null,
          tile('spent', 'run/cost_usd', formatUsd, 'steps', 'all committed episodes'),
          times.length > 0 ?
              element(
                  'div', {class: 'tile'}, element('span', {class: 'quiet'}, 'time in steps'),
                  element('strong', {}, formatSeconds(total)),
                  element(
                      'span', {class: 'quiet'},
                      `${curves.stride > 1 ? 'about, ' : ''}mean ${
                          formatSeconds(total / times.length / curves.stride)}`)) :
              null,
  ].filter(Boolean));
}

function drawEvaluation() {
  const arms =
      Object.entries(data.evaluation || {}).map(([name, all]) => ({...plottedArm(name, all), all}));
  byId('evaluation').hidden = arms.length === 0;
  byId('no-evaluation').hidden = arms.length > 0;
  setText(
      byId('how-to-evaluate'),
      `routewright eval --config ${data.folder}/config.resolved.yaml --policy ${
          data.folder}/checkpoints/STEP/policy --output ${
          data.folder}/report.json && routewright report ${data.folder}`);
  if (arms.length === 0) return;
  setText(
      byId('evaluation-summary'),
      `${
          formatCount(Math.max(...arms.map(
              (arm) =>
                  arm.all
                      .num_questions)))} questions, greedy; 95 % bootstrap intervals; cost in $ per 1,000 questions`);
  new CostAccuracyPlot(byId('cost-accuracy'), arms, data.models);
  const value = (arm, key, format) => element(
      'span', {'data-arm': arm.name, 'data-key': key, 'data-value': arm.all[key]},
      format(arm.all[key]));
  const range = (interval, format) => interval ? ` [${interval.map(format).join(', ')}]` : '';
  const both = (arm, key, interval, format) => element(
      'span', {}, value(arm, key, format),
      element('span', {class: 'quiet'}, range(arm.all[interval], format)));
  const shares = (arm) => {
    const calls = Object.entries(arm.all.share || {})
                      .filter(([, share]) => share >= 0.005)
                      .sort((a, b) => b[1] - a[1]);
    return calls.length === 0 ?
        kNone :
        element(
            'span', {},
            ...calls.flatMap(
                ([model, share]) =>
                    [modelSwatch(data.models.indexOf(model)), `${model} ${formatShare(share)}  `]));
  };
  const signed = (format) => (v) => (v < 0 ? '−' : '+') + format(Math.abs(v));
  const difference = (arm, key, format) => {
    const all = arm.all.trained_minus;
    if (!all) return kNone;
    return element(
        'span', {}, format(all[key]),
        element('span', {class: 'quiet'}, range(all[`${key}_interval`], format)));
  };
  fillTable(
      byId('evaluation-table'),
      [
        {name: 'arm'}, numberColumn('EM'), numberColumn('F1'), numberColumn('two-hop EM'),
        numberColumn('$ per 1,000'),
        numberColumn('trained − it, EM', 'over the same questions, with a paired 95 % interval'),
        numberColumn('trained − it, $', 'per 1,000 questions, over the same ones, paired'),
        numberColumn('calls'), numberColumn('entropy', 'nats, of the shares'),
        numberColumn('questions'), {name: 'share of the calls', isLong: true}
      ],
      arms.map(
          (arm) =>
              [element('strong', {}, arm.name), both(arm, 'em', 'em_interval', formatFixed),
               both(arm, 'f1', 'f1_interval', formatFixed), formatFixed(arm.all.em_two_hop),
               both(arm, 'cost_usd_per_1k', 'cost_usd_per_1k_interval', formatUsd),
               difference(arm, 'em', signed(formatFixed)),
               difference(arm, 'cost_usd_per_1k', signed(formatUsd)),
               formatNumber(arm.all.calls_per_question), formatNumber(arm.all.share_entropy),
               formatCount(arm.all.num_questions) +
                   (arm.all.num_left_out > 0 ? ` (${formatCount(arm.all.num_left_out)} left out)` :
                                               ''),
               shares(arm)]));
  drawSources(arms);
}

function drawSources(arms) {
  const sources = [...new Set(arms.flatMap((arm) => Object.keys(arm.all.by_source || {})))].sort();
  byId('sources').hidden = sources.length < 2;
  if (sources.length < 2) return;
  fillTable(
      byId('source-table'), [{name: 'arm'}, ...sources.map((name) => ({name, isNumber: true}))],
      arms.map((arm) => [element('strong', {}, arm.name), ...sources.map((source) => {
                 const some = (arm.all.by_source || {})[source];
                 return some ? element(
                                   'span', {}, formatFixed(some.em),
                                   element(
                                       'span', {class: 'quiet'},
                                       ` [${some.em_interval.map(formatFixed).join(', ')}] at ${
                                           formatUsd(some.cost_usd_per_1k)}`)) :
                               kNone;
               })]));
}

// The run's own evaluations; of many, evenly chosen ones, the last among them.
function drawHeldOut() {
  const table = curves.evaluations;
  byId('held-out').hidden = table.steps.length === 0;
  const every = Math.ceil(table.steps.length / 20);
  const metric = (name, i) => (table.metrics[name] || [])[i];
  const rows = table.steps.map((step, i) => [step, i])
                   .filter(([, i]) => (table.steps.length - 1 - i) % every === 0);
  fillTable(
      byId('held-out-table'),
      ['step', 'questions', 'EM', 'F1', 'two-hop EM', '$ per 1,000', 'calls', 'entropy'].map(
          (name) => ({name, isNumber: true})),
      rows.map(([step, i]) => {
        const interval = wilsonInterval(metric('evaluation/em', i), metric('evaluation/count', i));
        return [
          formatCount(step), formatCount(metric('evaluation/count', i)),
          element(
              'span', {
                'data-metric': 'evaluation/em',
                'data-step': step,
                'data-value': metric('evaluation/em', i)
              },
              formatNumber(metric('evaluation/em', i)),
              element('span', {class: 'quiet'}, ` [${interval.map(formatNumber).join(', ')}]`)),
          formatNumber(metric('evaluation/f1', i)),
          formatNumber(metric('evaluation/em_two_hop', i)),
          formatUsd(metric('evaluation/cost_usd_per_1k', i)),
          formatNumber(metric('evaluation/calls', i)),
          formatNumber(metric('evaluation/share_entropy_nats', i))
        ];
      }));
}

function drawAbout() {
  const names = {code_version: 'code version', memory_gib: 'memory'};
  const facts = {...(data.environment || {environment: 'not on record'}), folder: data.folder};
  byId('environment')
      .replaceChildren(...Object.entries(facts).flatMap(
          ([name, value]) =>
              [element('dt', {}, names[name] || name),
               element(
                   'dd', {},
                   Array.isArray(value)                         ? value.join(' · ') :
                       name === 'memory_gib' && isNumber(value) ? `${value.toFixed(0)} GiB` :
                                                                  String(value))]));
  setText(byId('config'), data.config || 'not on record');
}

drawHead();
drawTiles();
drawEvaluation();
drawAbout();
const hasSteps = curves.steps.steps.length > 0;
byId('no-steps').hidden = hasSteps;
byId('curves').hidden = !hasSteps;
if (hasSteps) {
  drawHeldOut();
  makeSectionPlots()(curves, 0.8);
}
// Paper is white whatever the screen's theme: the style sheet says so, the plots are drawn again.
matchMedia('print').addEventListener('change', redrawPlots);
