// Starts the page: one store, one connection that feeds it, one tree of views that reads it.

import { render } from "preact";
import { hubAddress } from "./hub/address.ts";
import { connect } from "./hub/connection.ts";
import { signIn } from "./hub/session.ts";
import { Store } from "./state/store.ts";
import { App } from "./view/app.tsx";

const opened = Date.now();
const store = new Store(opened);
const line = connect(hubAddress(location.href), store, signIn(location, history));

window.addEventListener("online", () => line.hurry());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) line.hurry();
});

render(<App store={store} opened={opened} />, document.getElementById("app") as HTMLElement);
