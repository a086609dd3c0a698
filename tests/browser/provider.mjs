// A provider of models that answers when it is told to: the chat-completions protocol over real HTTP.
// The model `hostile` says what would run on a page that trusted it, well or as an error, and so does its grader, at once.

import { once } from 'node:events';
import { createServer } from 'node:http';

export const HOSTILE = 'hostile';
const SCRIPT = '</pre><script>window.hacked="provider"</script><img src=x onerror=\'window.hacked="image"\'>';

/** Starts it. `release(n)` lets so many questions be answered, waiting ones first; model `limited` is refused at first. */
export async function start() {
  const waiting = [];
  let allowed = 0;
  let refusals = 1;
  let questions = 0;
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { model, messages } = JSON.parse(text);
    if (model === 'limited' && refusals-- > 0) {
      // Long enough for a page to be opened meanwhile, on a busy machine too.
      response.writeHead(429, { 'retry-after': '15', 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: 'one call in four seconds' } }));
      return;
    }
    if (model.startsWith(HOSTILE)) {
      const verdict = JSON.stringify({ reasoning: SCRIPT, score: 1 });
      if (model === `${HOSTILE}-grader`) return answer(response, verdict);
      // A third of what it is asked it refuses.
      if (questions++ % 3) return answer(response, SCRIPT);
      response.writeHead(400, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ error: { message: SCRIPT, code: SCRIPT } }));
    }
    waiting.push(() => answer(response, messages.at(-1).content));
    flow();
  });
  const flow = () => {
    while (allowed > 0 && waiting.length > 0) {
      allowed -= 1;
      waiting.shift()();
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return {
    host: `127.0.0.1:${port}`,
    uri: (model) => `openai-compatible:http://127.0.0.1:${port}/v1#${model}`,
    release: (count) => {
      allowed += count;
      flow();
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function answer(response, content) {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  }));
}
