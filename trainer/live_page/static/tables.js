'use strict';
// The pool and the workers, as tables.

const kPoolColumns = [
  {name: 'model'},
  {name: 'health', title: 'failed calls of the last steps'},
  {name: 'calls', isNumber: true, title: 'since this learner began'},
  {name: 'share', isNumber: true, title: 'of the last steps\' calls'},
  {name: 'failed', isNumber: true},
  {name: 'latency p50', isNumber: true, title: 'last steps, retries included'},
  {name: 'p95', isNumber: true},
  {name: 'tokens in', isNumber: true},
  {name: 'out', isNumber: true},
  {name: 'cost', isNumber: true, title: 'since this learner began'},
  {name: '$ per 1M in / out', isNumber: true},
];

function healthOf(recent) {
  if (recent.calls === 0) return element('span', {class: 'quiet'}, 'not called');
  const share = recent.failed / recent.calls;
  if (share === 0)
    return element(
        'span', {class: 'tag good'}, recent.attempts > recent.calls ? 'ok, with retries' : 'ok');
  const worst = Object.entries(recent.outcomes)
                    .filter(([name]) => !['ok', 'truncated', 'refused'].includes(name))
                    .sort((a, b) => b[1] - a[1])[0];
  return element(
      'span', {class: 'tag bad'},
      `${formatShare(share)} failing: ${worst[0].replaceAll('_', ' ')}`);
}

// `pool`: as api/status has it.
function drawPool(pool) {
  const recentCalls = pool.models.reduce((sum, model) => sum + model.recent.calls, 0);
  const total = (name) => pool.models.reduce((sum, model) => sum + model.total[name], 0);
  setText(
      byId('pool-summary'),
      pool.models.length === 0 ?
          'This run has no pool.' :
          `${formatCount(total('calls'))} calls, ${
              formatUsd(total(
                  'cost_usd'))} since this learner began, evaluation included · health, share and latency are of the last ${
              pool.recent_steps} steps`);
  fillTable(
      byId('pool-table'), kPoolColumns,
      pool.models.map(
          (model) =>
              [modelChip(model.name, data.models),
               healthOf(model.recent),
               formatCount(model.total.calls),
               formatShare(recentCalls > 0 ? model.recent.calls / recentCalls : NaN),
               formatCount(model.total.failed),
               formatMs(model.recent.latency_p50_ms),
               formatMs(model.recent.latency_p95_ms),
               formatNumber(model.total.input_tokens),
               formatNumber(model.total.output_tokens),
               formatUsd(model.total.cost_usd),
               `${formatTick(model.input_usd_per_1m, 'usd')} / ${
                   formatTick(model.output_usd_per_1m, 'usd')}`,
  ]));
}

const kWorkerColumns = [
  {name: 'worker'},
  {name: 'heard of', isNumber: true},
  {
    name: 'lag',
    isNumber: true,
    title: 'policy versions between its last trajectory and the newest weights'
  },
  {name: 'version', isNumber: true},
  {name: 'running', isNumber: true, title: 'episodes under way'},
  {name: 'episodes', isNumber: true, title: 'that came from it'},
  {name: 'pool failed', isNumber: true},
  {name: 'idle', isNumber: true, title: 'without an episode, since it began'},
  {name: 'code'},
];

// `answer`: of api/workers.
function drawWorkers(answer) {
  setText(
      byId('workers-summary'),
      answer.count === 0 ?
          'No worker has come yet: start one with launch/keep_worker.sh --config FILE --run THIS_RUN, or routewright worker.' :
          `${formatCount(answer.live)} live of ${formatCount(answer.count)} · ${
              formatCount(answer.active_episodes)} episodes under way · ${
              formatCount(answer.trajectories)} came in · ` +
              `newest policy version ${formatCount(answer.newest_version)}` +
              (Object.keys(answer.code_versions).length > 1 ?
                   ' · they run different code versions' :
                   ''));
  const kLags = [
    ['0', 'up to date'], ['1', '1 behind'], ['2+', '2 or more behind'],
    ['none yet', 'nothing came yet']
  ];
  byId('lag-bar').replaceChildren(
      ...kLags.filter(([lag]) => answer.lags[lag]).map(([lag, text]) => {
        const part = element(
            'span', {'data-lag': lag, title: text}, `${formatCount(answer.lags[lag])} ${text}`);
        part.style.flexGrow = answer.lags[lag];
        return part;
      }));
  setText(
      byId('workers-shown'),
      answer.count > answer.rows.length ?
          `${formatCount(answer.rows.length)} of ${formatCount(answer.count)} are listed` :
          '');
  fillTable(
      byId('workers-table'), kWorkerColumns,
      answer.rows.map(
          (worker) =>
              [worker.is_live ?
                   worker.id :
                   element(
                       'span', {}, worker.id, ' ', element('span', {class: 'tag bad'}, 'silent')),
               formatSeconds(worker.silent_s) + ' ago',
               worker.lag === null ? kNone : formatCount(worker.lag),
               worker.policy_version || kNone,
               formatCount(worker.active_episodes),
               formatCount(worker.trajectories),
               formatCount(worker.pool_failures),
               formatSeconds(worker.waited_s),
               worker.code_version,
  ]));
}
