// The style sheet's colours, for what is drawn on a canvas.

const NAMES = ["text-muted", "grid", "line-1", "line-2", "line-3", "line-4", "critical", "warning", "info", "over", "surface"] as const;

export type Colours = Record<(typeof NAMES)[number], string>;

let colours: Colours | undefined;

/** The present scheme's; read once and again when the scheme changes. */
export function theme(): Colours {
  if (!colours) {
    const style = getComputedStyle(document.documentElement);
    colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])) as Colours;
  }
  return colours;
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours = undefined;
});
