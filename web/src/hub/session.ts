// How the page gets past a listener that asks for tokens: a link that ends in #token=... signs in once, and a cookie that
// scripts cannot read is sent from then on.

/** Signs in with the token of the address, if it has one, and takes it out of sight and out of the browser's history first. */
export async function signIn(location: Location, history: History): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    await fetch("/api/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  } catch {
    // Connecting says what is wrong, and goes on trying.
  }
}
