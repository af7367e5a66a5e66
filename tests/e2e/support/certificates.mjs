// Certificates that a test makes for itself.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { temporaryFolder } from './process.mjs';

/// An authority and a certificate of it for 127.0.0.1 and localhost, in a folder of their own. `issue` makes another one, with a
/// key of its own, under the same names or others.
export function certificates(t) {
  const folder = temporaryFolder(t);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  const issue = (subject, cert = 'cert.pem', key = 'key.pem') => {
    openssl('req', ...ec, '-keyout', key, '-out', 'server.csr', '-subj', `/CN=${subject}`,
      '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost');
    openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
      '-copy_extensions', 'copy', '-out', cert);
  };
  issue('server');
  return { folder, issue, ca: readFileSync(`${folder}/ca.pem`) };
}
