// Where the hub is: beside the page, unless `?hub=` names another path of the same server.

const DEFAULT = "hubs/telemetry";

export function hubAddress(page: string): string {
  const base = new URL(page);
  const fallback = new URL(DEFAULT, base).href;
  const asked = base.searchParams.get("hub");
  if (!asked) return fallback;
  try {
    const wanted = new URL(asked, base);
    return wanted.origin === base.origin ? wanted.href : fallback;
  } catch {
    return fallback;
  }
}
