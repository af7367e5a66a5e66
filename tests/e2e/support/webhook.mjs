// A web server that notes what is posted to it.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { until } from './wait.mjs';

export class WebhookReceiver {
  /// `answer(request)` may give another status than 200: {status, headers}; a promise stalls the sender.
  static async start(t, { answer } = {}) {
    const receiver = new WebhookReceiver();
    receiver.requests = [];
    receiver.answer = answer ?? (() => ({ status: 200 }));
    receiver.server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text) => (body += text));
      request.on('end', async () => {
        const noted = { method: request.method, path: request.url, headers: request.headers, body };
        receiver.requests.push(noted);
        const { status, headers } = await receiver.answer(noted);
        response.writeHead(status, headers).end();
      });
    });
    receiver.server.listen(0, '127.0.0.1');
    await once(receiver.server, 'listening');
    receiver.url = `http://127.0.0.1:${receiver.server.address().port}`;
    t.after(() => {
      receiver.server.closeAllConnections();
      receiver.server.close();
    });
    return receiver;
  }

  get bodies() {
    return this.requests.map(({ body }) => JSON.parse(body));
  }

  async received(count, seconds = 30) {
    await until(() => `${count} requests, ${this.requests.length} came`, () => this.requests.length >= count, { seconds });
  }
}
