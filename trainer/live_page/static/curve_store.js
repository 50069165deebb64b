'use strict';
// The curves as the page has them: grown by what is new, as the learner hands it out.

const data = {
  models: [],
  generation: -1,
  stride: 1,
  steps: {steps: [], metrics: {}},
  evaluations: {steps: [], metrics: {}}
};


function begin(answer) {
  data.steps = {steps: [], metrics: {}};
  data.evaluations = {steps: [], metrics: {}};
  data.generation = answer.generation;
}

function append(table, rows, stride) {
  // A row off the grid was the newest of its time only.
  if (rows.steps.length > 0 && table.steps.length > 0 &&
      table.steps[table.steps.length - 1] % stride !== 0) {
    table.steps.pop();
    for (const values of Object.values(table.metrics)) values.pop();
  }
  for (const [name, values] of Object.entries(rows.metrics)) {
    const known =
        table.metrics[name] || (table.metrics[name] = new Array(table.steps.length).fill(null));
    known.push(...values);
  }
  table.steps.push(...rows.steps);
  for (const values of Object.values(table.metrics))
    while (values.length < table.steps.length) values.push(null);
}

async function refreshCurves() {
  for (let more = true; more;) {
    const since = data.steps.steps.length ? data.steps.steps[data.steps.steps.length - 1] : -1;
    const answer = await ask(`api/curves?since=${since}&generation=${data.generation}`);
    if (answer.reset) begin(answer);
    append(data.steps, answer.steps, answer.stride);
    append(data.evaluations, answer.evaluations, 1);
    data.stride = answer.stride;
    more = answer.steps.more;
  }
}
