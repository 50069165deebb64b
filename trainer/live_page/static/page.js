'use strict';
// The live page: asks the learner for what is new, every other second, and shows it. What was shown
// stays when the learner does not answer.

const kPollMs = 1500;
const kHiddenPollMs = 10000;
const kRetryMs = 3000;
const kTimeoutMs = 10000;

const kEnds = ['finished', 'preempted', 'failed'];

let run = null, token = sessionStorage.getItem('token'), status = null;
let heldToken = null;  // whoever has a lost learner's address now does not get it unasked
let lostAt = null, plots = null, drawn = '', isEndTold = false;

class TokenNeeded extends Error {}
class NoAnswer extends Error {}

async function ask(path) {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), kTimeoutMs);
  try {
    const headers = token ? {Authorization: 'Bearer ' + token} : {};
    const answer =
        await fetch(path, {headers, signal: aborter.signal, cache: 'no-store'}).catch((error) => {
          throw new NoAnswer(error.message);
        });
    if (answer.status === 401) throw new TokenNeeded();
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return await answer.json();
  } finally {
    clearTimeout(timer);
  }
}

const trajectories = new TrajectoryView(byId('trajectory-list'), byId('trajectory'), ask);

function drawCurves() {
  const smoothing = Number(byId('smoothing').value);
  const state = [
    data.generation, data.steps.steps.length, data.steps.steps[data.steps.steps.length - 1],
    smoothing
  ].join();
  if (state === drawn) return;
  drawn = state;
  if (plots === null) plots = makeSectionPlots();
  plots(data, smoothing);
}

// ---- the strip and the tiles

function showState(name, text) {
  byId('state').dataset.state = name;
  setText(byId('state'), text);
}

const kStates = {
  starting: 'starting',
  running: 'running',
  finished: 'finished',
  preempted: 'stopped, can go on',
  failed: 'failed'
};

function activityText() {
  if (status.state !== 'running') return status.state === 'starting' ? 'loading the policy' : '';
  const age = status.now_unix_s - status.last_step_unix_s;
  const last = status.newest ? `last step ${formatSeconds(Math.max(0, age))} ago` : 'no step yet';
  if (status.activity === 'updating') return `updating the policy · ${last}`;
  return status.episodes > 0 ?
      `${formatCount(status.committed)} of ${formatCount(status.episodes)} episodes in · ${last}` :
      last;
}

function drawStrip() {
  const done = status.steps > 0 ? status.steps_done / status.steps : 0;
  const isWaiting = status.state === 'running' && status.workers === 0 && status.episodes > 0 &&
      status.activity === 'collecting';
  showState(
      isWaiting ? 'waiting' : status.state,
      isWaiting ? 'waiting for a worker' : kStates[status.state] || status.state);
  setText(byId('activity'), activityText());
  setText(
      byId('progress'),
      `step ${formatCount(status.steps_done)} of ${formatCount(status.steps)} · ${
          Math.floor(100 * done)} %`);
  setText(
      byId('time-left'),
      status.state === 'running' && status.seconds_left !== null ?
          `${formatSeconds(status.seconds_left)} left` :
          '');
  byId('bar-done').style.width = `${100 * done}%`;
  const within =
      status.state === 'running' && status.episodes > 0 ? status.committed / status.episodes : 0;
  byId('bar-step').style.width = status.steps > 0 ? `${100 * within / status.steps}%` : '0';
  document.querySelector('.bar').setAttribute('aria-valuenow', Math.floor(100 * done));
  document.title = `${Math.floor(100 * done)} % · ${run.run}`;
}

// How the mean of the last few steps differs from that of 50 steps before.
function changeText(metric, format) {
  const points = pointsOf(data.steps, metric);
  if (points.length < 12) return '';
  const mean = (some) => some.reduce((sum, point) => sum + point.y, 0) / some.length;
  const now = points.slice(-5), then = points.slice(-55).slice(0, 5);
  const change = mean(now) - mean(then);
  return `${change >= 0 ? '+' : '−'}${format(Math.abs(change))} in ${
      formatCount(now[now.length - 1].x - then[then.length - 1].x)} steps`;
}

function tile(title, metric, row, format, note) {
  if (!row || !isNumber(row.metrics[metric])) return null;
  return element(
      'div', {class: 'tile'}, element('span', {class: 'quiet'}, title),
      element(
          'strong',
          {'data-metric': metric, 'data-value': row.metrics[metric], 'data-step': row.step},
          format(row.metrics[metric])),
      element('span', {class: 'quiet'}, note || changeText(metric, format) || ' '));
}

function drawTiles() {
  const newest = status.newest, held = status.evaluated;
  // The evaluation after the last step is no step, but it was paid for.
  const paid = held && newest && held.step > newest.step ? held : newest;
  const interval =
      held ? wilsonInterval(held.metrics['evaluation/em'], held.metrics['evaluation/count']) : [];
  const tiles = [
    tile('reward', 'episode/reward_mean', newest, formatNumber),
    tile('EM, training', 'episode/em', newest, formatNumber),
    tile(
        'EM, held out', 'evaluation/em', held, formatNumber,
        held &&
            `[${formatNumber(interval[0])}, ${formatNumber(interval[1])}] at step ${held.step}`),
    tile('$ per 1,000 questions', 'episode/cost_usd_per_1k', newest, formatUsd),
    tile('spent so far', 'run/cost_usd', paid, formatUsd, 'all committed episodes'),
    newest && !isNumber(newest.metrics['episode/em']) ?
        tile('loss', 'policy/loss', newest, formatNumber) :
        null,
    tile('tokens per second', 'step/tokens_per_s', newest, formatNumber),
    tile('seconds per step', 'step/time_s', newest, formatSeconds),
  ].filter(Boolean);
  byId('tiles').replaceChildren(...(tiles.length > 0 ? tiles : [
    element('p', {class: 'empty'}, 'The first step\'s metrics will be here.')
  ]));
}

async function refreshWorkers() {
  const sort = byId('workers-sort').value, limit = byId('workers-limit').value;
  drawWorkers(await ask(`api/workers?sort=${sort}&limit=${limit}`));
}

function drawAbout() {
  const names = {code_version: 'code version', memory_gib: 'memory'};
  const items = Object.entries({...run.environment, folder: run.folder});
  byId('environment')
      .replaceChildren(...items.flatMap(
          ([name, value]) =>
              [element('dt', {}, names[name] || name),
               element(
                   'dd', {},
                   Array.isArray(value)      ? value.join(' · ') :
                       name === 'memory_gib' ? `${value.toFixed(0)} GiB` :
                                               value)]));
  setText(byId('config'), run.config);
  setText(byId('run'), run.run);
}

// ---- the loop

function showNotice(text) {
  byId('notice').hidden = text === '';
  setText(byId('notice'), text);
}

async function refreshRun() {
  const answer = await ask('api/run');
  if (run !== null && (answer.run !== run.run || answer.folder !== run.folder))
    location.reload();  // the port is another run's now
  run = answer;
  data.models = trajectories.models = run.models;
  data.generation = -1;
  trajectories.version = null;
  drawAbout();
}

async function refresh() {
  status = await ask('api/status');
  if (run === null || run.instance !== status.instance) await refreshRun();
  drawStrip();
  await refreshCurves();
  byId('login').hidden = true;
  document.querySelector('main').hidden = false;
  drawTiles();
  drawCurves();
  drawPool(status.pool);
  await refreshWorkers();
  await trajectories.refresh(status.trajectories_version);
  lostAt = null;
  showNotice(
      status.state === 'failed' ?
          `The run failed: ${status.message}` :
          status.state === 'preempted' ?
          'Stopped after a saved checkpoint: the same command goes on from there.' :
          '');
}

function showLost() {
  lostAt = lostAt || Date.now();
  const ago = formatSeconds((Date.now() - lostAt) / 1000);
  const hasEnded = status !== null && kEnds.includes(status.state);
  if (!hasEnded) showState('lost', 'connection lost');
  setText(byId('time-left'), '');
  const what = hasEnded ? `The run has ended (${kStates[status.state]}) and its page with it` :
                          `No answer from the learner for ${ago}`;
  const next = heldToken === null ?
      'Retrying: if the run goes on at this address, so does this page.' :
      'Not retrying, for the token would go to whoever has this address now.';
  showNotice(
      `${what}; what is below was the last. ${next}` +
      (status !== null && status.state === 'failed' ? ` It failed: ${status.message}` : ''));
}

function askForToken() {
  byId('login').hidden = false;
  document.querySelector('main').hidden = true;
  showNotice('');
  showState('waiting', 'token needed');
  setText(byId('login-error'), token ? 'That is not this run\'s token.' : '');
  token = null;
}

async function loop() {
  try {
    await refresh();
    const hasJustEnded = kEnds.includes(status.state) && !isEndTold;
    isEndTold = kEnds.includes(status.state);
    if (hasJustEnded)
      return setTimeout(loop, 100);  // tells the learner, which waits, that all was seen
    setTimeout(loop, document.hidden ? kHiddenPollMs : kPollMs);
  } catch (error) {
    if (error instanceof TokenNeeded) return askForToken();
    if (error instanceof NoAnswer) {
      heldToken = token;
      token = null;
      sessionStorage.removeItem('token');  // a reloaded page may be another's
    } else {
      console.warn(error);
    }
    byId('held').hidden = heldToken === null;
    showLost();
    if (heldToken === null) setTimeout(loop, kRetryMs);
  }
}

byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = byId('token').value.trim();
  sessionStorage.setItem('token', token);
  byId('token').value = '';
  loop();
});
byId('reconnect').addEventListener('click', () => {
  token = heldToken;
  heldToken = null;
  sessionStorage.setItem('token', token);
  byId('held').hidden = true;
  loop();
});
for (const id of ['workers-sort', 'workers-limit'])
  byId(id).addEventListener('change', () => refreshWorkers().catch(() => {}));
byId('smoothing').addEventListener('change', drawCurves);

// A token in the address (…#token=…) is taken out of it at once.
const inAddress = new URLSearchParams(location.hash.slice(1)).get('token');
if (inAddress) {
  token = inAddress;
  sessionStorage.setItem('token', token);
  history.replaceState(null, '', location.pathname);
}
loop();
