'use strict';
// The newest trajectories: a list, and one of them round by round, each token coloured by who wrote
// it, by its advantage, or by how likely it was.

const kShades = 5;

// Of −3 … 3 (or any scale): "plus-4", "minus-2", "none".
function shadeOf(value, scale) {
  if (!isNumber(value)) return 'none';
  const shade = Math.min(kShades, Math.ceil(kShades * Math.abs(value) / scale));
  return shade === 0 ? 'none' : (value > 0 ? 'plus-' : 'minus-') + shade;
}

class TrajectoryView {
  // `ask(path)` fetches JSON; `models` are in the pool's order.
  constructor(list, detail, ask) {
    this.list = list;
    this.detail = detail;
    this.ask = ask;
    this.models = [];
    this.chosen = null;
    this.colouring = 'advantage';
    this.version = null;
    this.isPinned = false;
  }

  // Does nothing unless there are others than before.
  async refresh(version) {
    if (version === this.version) return;
    const answer = await this.ask('api/trajectories');
    this.version = answer.version;
    this.items = answer.trajectories;
    if (this.items.length === 0) {
      this.list.replaceChildren(
          element('li', {class: 'empty'}, 'none yet: they come with the first step'));
      return;
    }
    const isThere = this.items.some((item) => item.id === this.chosen);
    if (!this.isPinned || this.chosen === null)
      await this.choose(this.items[0].id, false);
    else if (!isThere)
      this.note.textContent = 'no longer kept by the learner; this is what was shown';
    this.drawList();
  }

  // The episodes of one question stand below it.
  drawList() {
    const items = [];
    let last = '';
    for (const item of this.items) {
      const group = `${item.step} ${item.purpose} ${item.question}`;
      if (group !== last) {
        items.push(element(
            'li', {class: 'item-question'},
            element(
                'span', {class: 'quiet'}, `step ${formatCount(item.step)} · ${item.data_source} `),
            item.purpose === 'evaluation' ? element('span', {class: 'tag'}, 'held out') : null,
            element('strong', {}, item.question)));
      }
      last = group;
      const button = element(
          'button', {type: 'button', 'aria-current': String(item.id === this.chosen)},
          this.verdict(item), ...this.chips(item.calls),
          element(
              'span', {class: 'quiet item-reward'},
              `${formatNumber(item.reward)}${
                  item.advantage === null ?
                      '' :
                      ` (${item.advantage > 0 ? '+' : ''}${formatNumber(item.advantage)})`}`));
      button.addEventListener('click', () => {
        this.isPinned = true;
        this.choose(item.id, true);
      });
      items.push(element('li', {}, button));
    }
    this.list.replaceChildren(...items);
  }

  verdict(item) {
    if (item.status !== 'answered') return element('span', {class: 'tag bad'}, item.status);
    return item.em === 1 ? element('span', {class: 'tag good'}, '✓ right') :
                           element('span', {class: 'tag bad'}, '✗ wrong');
  }

  chips(models) {
    return models.length === 0 ? [element('span', {class: 'quiet'}, 'no calls')] :
                                 models.map((model) => modelChip(model, this.models));
  }

  async choose(id, isAsked) {
    let one;
    try {
      one = await this.ask('api/trajectory?id=' + encodeURIComponent(id));
    } catch (error) {
      if (isAsked && this.note) this.note.textContent = 'no longer kept by the learner';
      return;
    }
    this.chosen = id;
    this.one = one;
    this.drawDetail();
    this.drawList();
  }

  drawDetail() {
    const one = this.one;
    this.note = element('p', {class: 'quiet'});
    const choice = element(
        'select', {},
        ...[['advantage', 'advantage'], ['logprob', 'how likely it was'],
            ['writer', 'who wrote it']]
            .map(([value,
                   text]) => element('option', {value, selected: value === this.colouring}, text)));
    choice.addEventListener('change', () => {
      this.colouring = choice.value;
      this.drawDetail();
    });
    const facts = element('dl', {class: 'facts'});
    for (const [name, value] of [
             ['golden answers', one.golden_answers.join(' · ')],
             ['answer', one.answer === null ? one.status : one.answer],
             [
               'scores',
               `EM ${formatNumber(one.em)} · F1 ${formatNumber(one.f1)} · format ${
                   formatNumber(one.format_reward)} · cost reward ${formatNumber(one.cost_reward)}`
             ],
             [
               'reward',
               `${formatNumber(one.reward)}${
                   one.advantage === null ? '' :
                                            ` · mean advantage ${formatNumber(one.advantage)}`}`
             ],
             [
               'cost',
               `${formatUsd(one.cost_usd)} in ${one.pool_calls.length} call${
                   one.pool_calls.length === 1 ? '' : 's'}`
             ],
             [
               'time',
               `${formatMs(one.generate_ms)} generating · ${
                   formatMs(one.pool_wait_ms)} waiting for the pool`
             ],
             ['episode', `${one.id} · worker ${one.worker} · ${one.data_source}`],
    ])
      facts.append(element('dt', {}, name), element('dd', {}, value));
    this.detail.replaceChildren(
        element('h3', {}, one.question, ' ', this.verdict(one)), facts,
        element(
            'div', {class: 'controls'}, element('label', {}, 'colour tokens by ', choice),
            this.key()),
        this.note, ...one.segments.map((segment, i) => this.segment(segment, i)),
        ...(one.tokens_left_out > 0 ?
                [element(
                    'p', {class: 'quiet'},
                    `${formatCount(one.tokens_left_out)} more tokens are not shown`)] :
                []));
  }

  key() {
    if (this.colouring === 'advantage') {
      return element(
          'span', {class: 'key'}, element('span', {class: 'token minus-4'}, 'worse than its group'),
          ' ', element('span', {class: 'token none'}, 'no advantage'), ' ',
          element('span', {class: 'token plus-4'}, 'better'));
    }
    if (this.colouring === 'logprob') {
      return element(
          'span', {class: 'key'}, element('span', {class: 'token none'}, 'certain'), ' ',
          element('span', {class: 'token minus-5'}, 'a surprise'));
    }
    return element(
        'span', {class: 'key'},
        element('span', {class: 'token written'}, 'written by the policy, learnt from'), ' ',
        element('span', {class: 'token observed'}, 'observation, never learnt from'));
  }

  segment(segment, i) {
    if (segment.writer === 'prompt') {
      return element(
          'details', {class: 'segment prompt'},
          element('summary', {}, `prompt · ${formatCount(segment.num_tokens)} tokens`),
          element('pre', {}, segment.text));
    }
    if (segment.writer === 'observation') {
      const round = this.roundBefore(i);
      const call = this.one.pool_calls.find((candidate) => candidate.round === round);
      return element(
          'div', {class: 'segment observation'}, this.callLine(call, segment),
          element('pre', {}, element('span', {class: 'token observed'}, segment.text.trim())));
    }
    const tokens = element('pre', {});
    for (const [text, logprob, advantage] of segment.tokens) {
      if (text === '') continue;
      const shade = this.colouring === 'writer' ? 'written' :
          this.colouring === 'advantage'        ? shadeOf(advantage, 2) :
                                                  shadeOf(logprob, 4);
      tokens.append(element(
          'span', {
            class: 'token ' + shade,
            title: `log-probability ${formatNumber(logprob)}` +
                (advantage === null ? '' : `, advantage ${formatNumber(advantage)}`)
          },
          text));
    }
    return element('div', {class: 'segment policy'}, this.roundLine(segment), tokens);
  }

  roundBefore(i) {
    while (i >= 0 && this.one.segments[i].round === undefined) --i;
    return i < 0 ? 0 : this.one.segments[i].round;
  }

  roundLine(segment) {
    const action = segment.action || {kind: 'cut off'};
    const line = element(
        'p', {class: 'segment-head'},
        element('strong', {}, segment.round ? `round ${segment.round}` : 'policy'), ' · ',
        action.kind);
    if (action.model) line.append(' → ', modelChip(action.model, this.models));
    if (action.why) line.append(': ', action.why);
    return line;
  }

  callLine(call, segment) {
    const line = element('p', {class: 'segment-head'});
    if (!call) {
      line.append(`observation · ${formatCount(segment.num_tokens)} tokens`);
      return line;
    }
    line.append(
        modelChip(call.model, this.models),
        ` · ${call.outcome} · ${formatMs(call.latency_ms)} · ${
            formatCount(call.input_tokens)} tokens in, ` +
            `${formatCount(call.output_tokens)} out${call.is_estimated ? ' (estimated)' : ''} · ${
                formatUsd(call.cost_usd)}` +
            (call.attempts > 1 ? ` · ${call.attempts} attempts` : ''));
    if (call.error) line.append(' · ', call.error);
    return line;
  }
}

// A model's name beside its colour.
function modelChip(model, models) {
  return element('span', {class: 'chip'}, modelSwatch(models.indexOf(model)), model);
}
