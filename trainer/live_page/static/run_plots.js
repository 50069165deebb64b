'use strict';
// Which plots the page and the report have, section by section, and what is in each.

// Names behind "pool/share:", in the pool's order; the plots have colours for kModelColors of them.
function shareSeries(data, prefix, table) {
  const models = data.models.filter((model) => data[table].metrics[prefix + model]);
  const total = (model) =>
      data[table].metrics[prefix + model].reduce((sum, value) => sum + (value || 0), 0);
  const most = new Set([...models].sort((a, b) => total(b) - total(a)).slice(0, kModelColors));
  const series =
      models.filter((model) => most.has(model)).map((model) => ({
                                                      metric: prefix + model,
                                                      label: model,
                                                      table,
                                                      color: modelColor(data.models.indexOf(model))
                                                    }));
  const rest = models.filter((model) => !most.has(model));
  if (rest.length > 0) {
    const points =
        data[table]
            .steps
            .map((x, i) => ({
                   x,
                   y: rest.reduce(
                       (sum, model) => sum + (data[table].metrics[prefix + model][i] || 0), 0)
                 }))
            .filter(
                (_, i) => models.some((model) => isNumber(data[table].metrics[prefix + model][i])));
    series.push(
        {metric: prefix + kOther, label: kOther, table, color: cssColor('--model-other'), points});
  }
  return series;
}

function sourceSeries(data, prefix, table) {
  const names = Object.keys(data[table].metrics).filter((name) => name.startsWith(prefix)).sort();
  return names.map((name, i) => ({
                     metric: name,
                     label: name.slice(prefix.length),
                     table,
                     color: modelColor(i),
                     dash: i >= kModelColors ? [4, 3] : undefined
                   }));
}

function heldOut(data, metric, label, color) {
  const counts = pointsOf(data.evaluations, 'evaluation/count');
  return {
    metric,
    label,
    color,
    table: 'evaluations',
    interval: (i, y) => wilsonInterval(y, counts[i] ? counts[i].y : 0)
  };
}

// metric → series, coloured one after the other
function lines(...metrics) {
  return () => metrics.map(
             ([metric, label, table = 'steps'], i) =>
                 ({metric, label, table, color: cssColor(`--series-${i}`)}));
}

const kSections = {
  learning: [
    {
      title: 'Reward',
      unit: 'mean over the step\'s episodes',
      axis: 'reward',
      series: lines(
          ['episode/reward_mean', 'training'],
          ['evaluation/reward_mean', 'held out', 'evaluations'])
    },
    {
      title: 'Held-out exact match',
      unit: 'share, 95 % Wilson interval',
      axis: 'EM',
      min: 0,
      max: 1,
      isOptional: true,
      series: (data) => [heldOut(data, 'evaluation/em', 'EM', cssColor('--series-1'))]
    },
    {
      title: 'Exact match and F1',
      unit: 'training episodes, sampled',
      axis: 'EM, F1',
      min: 0,
      max: 1,
      series: lines(
          ['episode/em', 'EM'], ['episode/f1', 'F1'],
          ['evaluation/f1', 'F1 held out', 'evaluations'])
    },
    {
      title: 'Groups without a difference',
      unit: 'share of the questions\' groups: nothing is learnt from them',
      axis: 'share of groups',
      format: 'share',
      min: 0,
      max: 1,
      isOptional: true,
      series: lines(['episode/even_groups', 'groups'])
    },
    {
      title: 'EM per data source',
      unit: 'training',
      axis: 'EM',
      min: 0,
      max: 1,
      isOptional: true,
      series: (data) => sourceSeries(data, 'episode/em:', 'steps')
    },
    {
      title: 'F1 per data source',
      unit: 'training',
      axis: 'F1',
      min: 0,
      max: 1,
      isOptional: true,
      series: (data) => sourceSeries(data, 'episode/f1:', 'steps')
    },
    {
      title: 'Held-out EM per data source',
      unit: 'greedy',
      axis: 'EM',
      min: 0,
      max: 1,
      isOptional: true,
      series: (data) => sourceSeries(data, 'evaluation/em:', 'evaluations')
    },
  ],
  routing: [
    {
      title: 'Model share',
      unit: 'share of the training episodes\' calls',
      axis: 'share of calls',
      format: 'share',
      kind: 'stack',
      min: 0,
      max: 1,
      series: (data) => shareSeries(data, 'pool/share:', 'steps')
    },
    {
      title: 'Held-out model share',
      unit: 'share of calls',
      axis: 'share of calls',
      format: 'share',
      kind: 'stack',
      min: 0,
      max: 1,
      isOptional: true,
      series: (data) => shareSeries(data, 'evaluation/share:', 'evaluations')
    },
    {
      title: 'Cost',
      unit: '$ per 1,000 questions',
      format: 'usd',
      min: 0,
      series: lines(
          ['episode/cost_usd_per_1k', 'training'],
          ['evaluation/cost_usd_per_1k', 'held out', 'evaluations'])
    },
    {
      title: 'Spent',
      isExact: true,
      unit: '$, all committed episodes',
      axis: '$',
      format: 'usd',
      min: 0,
      series: lines(['run/cost_usd', 'spent'])
    },
    {
      title: 'Calls and rounds',
      unit: 'per episode',
      axis: 'per episode',
      min: 0,
      series: lines(
          ['episode/calls', 'calls'], ['episode/rounds', 'rounds'],
          ['episode/invalid_actions', 'invalid actions'])
    },
    {
      title: 'Routing entropy',
      unit: 'nats, of the shares',
      axis: 'nats',
      min: 0,
      series: lines(
          ['pool/share_entropy_nats', 'training'],
          ['evaluation/share_entropy_nats', 'held out', 'evaluations'])
    },
    {
      title: 'Trials',
      unit: 'calls per step that named a model by the trainer\'s choice',
      axis: 'calls',
      min: 0,
      isOptional: true,
      series: lines(['pool/trials', 'trials'])
    },
    {
      title: 'Failed calls',
      unit: 'calls per step',
      axis: 'calls',
      min: 0,
      series:
          lines(['pool/failed_calls', 'failed calls'], ['episode/pool_failed', 'episodes given up'])
    },
    {
      title: 'Pool latency',
      unit: 'ms, mean',
      axis: 'ms',
      min: 0,
      series: lines(['pool/latency_mean_ms', 'mean'])
    },
  ],
  optimisation: [
    {
      title: 'Loss',
      unit: 'nats, or 1',
      axis: 'loss',
      series: lines(['policy/loss', 'policy'], ['critic/loss', 'critic'])
    },
    {
      title: 'KL',
      unit: 'nats per token',
      series: lines(
          ['policy/approximate_kl_nats', 'old − new'], ['policy/sampler_gap_nats', 'sampler gap'],
          ['policy/reference_kl_nats', 'to reference'])
    },
    {
      title: 'Policy entropy',
      unit: 'nats per token of the policy',
      axis: 'nats per token',
      min: 0,
      series:
          lines(['policy/entropy_nats', 'all'], ['policy/name_entropy_nats', 'that name a model'])
    },
    {
      title: 'Clip share',
      unit: 'share of tokens',
      axis: 'share of tokens',
      format: 'share',
      min: 0,
      series: lines(['policy/clip_share', 'policy'], ['critic/clip_share', 'critic'])
    },
    {
      title: 'Gradient norm',
      unit: 'L2, before clipping',
      axis: 'L2 norm',
      min: 0,
      series: lines(['policy/gradient_norm', 'policy'], ['critic/gradient_norm', 'critic'])
    },
    {
      title: 'Learning rate',
      isExact: true,
      unit: '1',
      axis: 'learning rate',
      min: 0,
      series: lines(['policy/learning_rate', 'learning rate'])
    },
  ],
  throughput: [
    {
      title: 'Tokens per second',
      unit: 'over the whole step',
      axis: 'tokens per s',
      min: 0,
      series: lines(['step/tokens_per_s', 'tokens/s'])
    },
    {
      title: 'Where a step\'s time goes',
      unit: 's',
      format: 'seconds',
      kind: 'stack',
      min: 0,
      series: lines(
          ['trainer/wait_for_batch_s', 'waiting for episodes'], ['step/update_s', 'update'],
          ['step/publish_s', 'publishing weights'])
    },
    {
      title: 'Who waits for whom',
      unit: 's per step',
      format: 'seconds',
      min: 0,
      series: lines(
          ['trainer/wait_for_batch_s', 'trainer for episodes'],
          ['worker/wait_for_lease_s', 'a worker for a lease'])
    },
    {
      title: 'Episode length',
      unit: 'tokens',
      min: 0,
      series: lines(
          ['episode/tokens', 'all tokens'], ['episode/policy_tokens', 'written by the policy'])
    },
    {
      title: 'Workers',
      isExact: true,
      unit: 'live workers',
      axis: 'workers',
      format: 'count',
      min: 0,
      isOptional: true,
      series: lines(['workers/count', 'workers'])
    },
    {
      title: 'Leases lost',
      isExact: true,
      unit: 'per step',
      axis: 'leases',
      format: 'count',
      min: 0,
      isOptional: true,
      series: lines(['workers/leases_expired', 'expired'], ['workers/duplicates', 'duplicates'])
    },
  ],
};

// Into the .grid of each section of that id; hands back what updates them all.
function makeSectionPlots() {
  const plots = [];
  for (const [id, specs] of Object.entries(kSections)) {
    const grid = byId(id).querySelector('.grid');
    for (const spec of specs)
      plots.push(new Plot(grid, {isOptional: id === 'optimisation' || spec.isOptional, ...spec}));
  }
  return (data, smoothing) => {
    for (const plot of plots) plot.update(data, smoothing);
  };
}
