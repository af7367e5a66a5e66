// Which screen the address names: "#/", "#/alerts", "#/device/NAME". In the fragment, so that a link works wherever the page is
// served.

import { useEffect, useState } from "preact/hooks";

export type Route = { screen: "live" } | { screen: "alerts" } | { screen: "device"; id: string };

export function parseRoute(fragment: string): Route {
  const path = fragment.replace(/^#\/?/, "");
  if (path === "alerts") return { screen: "alerts" };
  const device = /^device\/(.*)$/.exec(path);
  if (!device) return { screen: "live" };
  try {
    return { screen: "device", id: decodeURIComponent(device[1] as string) };
  } catch {
    return { screen: "live" };
  }
}

export const deviceLink = (id: string): string => `#/device/${encodeURIComponent(id)}`;

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const onChange = (): void => setRoute(parseRoute(location.hash));
    window.addEventListener("hashchange", onChange);
    return () => window.removeEventListener("hashchange", onChange);
  }, []);
  return route;
}
