// Follows every link and every embedded item of a HAL API from its root with ketting, each once, and prints a line of
// JSON for each: {url, status, embedded}. `embedded`: whether what was embedded elsewhere is what is served there.
//
// Reads from its input {root, token, expansions, max}; expansions: the values to expand each templated relation with.

import { readFileSync } from 'node:fs';
import { Client, HalState, NeverCache, bearerAuth } from 'ketting';

const { root, token, expansions, max } = JSON.parse(readFileSync(0, 'utf-8'));
const client = new Client(root);
client.cache = new NeverCache(); // so that what was embedded is asked for, too
client.use(bearerAuth(token));

const known = new Set();
const waiting = [];
const embedded = new Map();

function add(resource) {
  if (!known.has(resource.uri)) {
    known.add(resource.uri);
    waiting.push(resource);
  }
}

/** Links of what is no resource of its own: checkpoints, and payloads of events. */
function* nested(data) {
  if (data === null || typeof data !== 'object') {
    return;
  }
  for (const links of Object.values(data._links ?? {})) {
    yield* [links].flat().map((link) => link.href);
  }
  for (const value of Object.values(data)) {
    yield* nested(value);
  }
}

function follow(state) {
  for (const { rel, templated } of state.links.getAll()) {
    if (templated) {
      for (const variables of expansions[rel]) {
        add(state.follow(rel, variables));
      }
    } else {
      state.followAll(rel).forEach(add);
    }
  }
  for (const href of nested(state.data)) {
    add(client.go(href));
  }
  for (const one of state.getEmbedded()) {
    embedded.set(one.uri, JSON.stringify(one.data));
    follow(one);
  }
}

async function visit(resource) {
  try {
    const state = await resource.get();
    if (state instanceof HalState && state.headers.get('Content-Type').startsWith('application/hal+json')) {
      follow(state);
    }
    return { url: resource.uri, status: 200, data: JSON.stringify(state.data) };
  } catch (error) {
    return { url: resource.uri, status: error.status ?? `${error}` };
  }
}

add(client.go());
const visited = [];
while (waiting.length && visited.length <= max) {
  visited.push(await visit(waiting.pop()));
}
for (const { url, status, data } of visited) {
  const same = !embedded.has(url) || embedded.get(url) === data;
  console.log(JSON.stringify({ url, status, embedded: same }));
}
