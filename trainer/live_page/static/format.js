'use strict';
// Numbers as people read them, and elements of the page. Text goes in as text only: nothing that a
// model, a pool or a config says can become markup.

const kNone = '–';

function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

// Three significant digits; thousands and millions short; very small ones with an exponent.
function formatNumber(value) {
  if (!isNumber(value)) return kNone;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 999_500_000) return (value / 1e9).toPrecision(3) + 'G';
  if (size >= 999_500) return (value / 1e6).toPrecision(3) + 'M';
  if (size >= 9_995) return (value / 1e3).toPrecision(3) + 'k';
  if (Number.isInteger(value)) return String(value);
  if (size >= 999.5) return String(Math.round(value));
  if (size < 1e-4) return value.toExponential(1);
  if (size >= 0.01 && size < 1) return value.toFixed(3);
  return value.toPrecision(3);
}

function formatUsd(value) {
  if (!isNumber(value)) return kNone;
  if (value !== 0 && Math.abs(value) < 1e-4) return Number((1e6 * value).toPrecision(2)) + ' µ$';
  if (Math.abs(value) >= 100) return '$' + Math.round(value).toLocaleString('en-US');
  return '$' + (value === 0 ? '0' : value.toPrecision(3));
}

function formatShare(value) {
  return isNumber(value) ? (100 * value).toFixed(value > 0 && value < 0.0995 ? 1 : 0) + ' %' :
                           kNone;
}

function formatCount(value) {
  return isNumber(value) ? Math.round(value).toLocaleString('en-US') : kNone;
}

function formatSeconds(seconds) {
  if (!isNumber(seconds)) return kNone;
  if (seconds < 10) return (seconds < 1 ? seconds.toFixed(2) : seconds.toFixed(1)) + ' s';
  const s = Math.round(seconds);
  if (s < 60) return s + ' s';
  const two = (n) => String(n).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86400)}d ${two(Math.floor(s / 3600) % 24)}h`;
}

function formatMs(ms) {
  if (!isNumber(ms)) return kNone;
  return ms < 1000 ? Math.round(ms) + ' ms' : formatSeconds(ms / 1000);
}

// A number of an axis, where three digits of 0.2 would be two too many.
function formatTick(value, format) {
  if (format === 'share') return Number((100 * value).toPrecision(3)) + ' %';
  if (value === 0) return format === 'usd' ? '$0' : '0';
  const size = Math.abs(value);
  const [scaled, letter] = size >= 1e6 ? [value / 1e6, 'M'] :
      size >= 1e4                      ? [value / 1e3, 'k'] :
                                         [value, ''];
  const text = size < 1e-3 ? Number(scaled.toPrecision(2)).toExponential() :
                             String(Number(scaled.toPrecision(4)));
  return (format === 'usd' ? '$' : '') + text + letter;
}

const kFormats = {
  number: formatNumber,
  usd: formatUsd,
  share: formatShare,
  count: formatCount,
  seconds: formatSeconds
};

// element("td", {class: "number", title: "…"}, "text", child, …)
function element(tag, attributes, ...children) {
  const result = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    result.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined)
      result.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return result;
}

function byId(id) {
  return document.getElementById(id);
}

// Text is set only where it changed: no flicker, and a selection stays.
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// A table: columns are {name, title, isNumber, isLong}, cells are text or elements.
function fillTable(table, columns, rows, caption) {
  const head = element(
      'tr', {},
      ...columns.map(
          (column) => element(
              'th', {class: column.isNumber ? 'number' : null, title: column.title, scope: 'col'},
              column.name)));
  const body =
      rows.map((cells) => element('tr', {}, ...cells.map((cell, i) => {
                 const td = element(
                     'td',
                     {class: columns[i].isNumber ? 'number' :
                          columns[i].isLong      ? 'long' :
                                                   null});
                 td.append(cell instanceof Node ? cell : document.createTextNode(String(cell)));
                 return td;
               })));
  table.replaceChildren(
      ...(caption ? [element('caption', {}, caption)] : []), element('thead', {}, head),
      element('tbody', {}, ...body));
}

// 95 % Wilson interval of a share that `count` questions came to.
function wilsonInterval(share, count) {
  if (!isNumber(share) || !(count > 0)) return [null, null];
  const z = 1.959964;
  const middle = (share + z * z / (2 * count)) / (1 + z * z / count);
  const half = z / (1 + z * z / count) *
      Math.sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
