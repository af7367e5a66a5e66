// A TCP proxy that can be cut, and lets nobody in while it is `shut`.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class CuttingProxy {
  /// Passes connections on to a port of 127.0.0.1; gone with test `t`.
  static async start(t, port) {
    const proxy = new CuttingProxy();
    proxy.pairs = new Set();
    proxy.passed = 0; // bytes, both ways
    proxy.accepted = 0;
    proxy.server = createServer((near) => {
      if (proxy.shut) return near.on('error', () => {}).resetAndDestroy();
      proxy.accepted++;
      const far = connect(port, '127.0.0.1');
      const pair = { near, far };
      proxy.pairs.add(pair);
      const end = () => (proxy.pairs.delete(pair), near.destroy(), pair.kept || far.destroy());
      for (const [from, to] of [[near, far], [far, near]]) {
        from.on('data', (data) => {
          proxy.passed += data.length;
          if (proxy.silent) return;
          if (!to.write(data)) from.pause();
        });
        to.on('drain', () => from.resume());
        from.on('error', () => {}).on('close', end);
      }
      proxy.onPass?.();
    });
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    proxy.port = proxy.server.address().port;
    t.after(() => (proxy.cut(), proxy.server.close()));
    return proxy;
  }

  /// Ends all connections with a reset. With `unnoticed`, the server's halves stay open, and what it still sends is lost.
  cut({ unnoticed = false } = {}) {
    for (const pair of this.pairs) {
      pair.kept = unnoticed;
      if (unnoticed) pair.far.removeAllListeners('data').on('data', () => {});
      else pair.far.resetAndDestroy();
      pair.near.resetAndDestroy();
    }
    this.pairs.clear();
  }
}
