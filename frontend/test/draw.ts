/** A place on the page, empty before each test, to draw a part of the tab in. */
import { render, type ComponentChildren } from "preact";
import { act } from "preact/test-utils";
import { beforeEach } from "vitest";

export let root: HTMLElement;

beforeEach(() => {
  document.body.replaceChildren();
  root = document.body.appendChild(document.createElement("div"));
});

export async function draw(section: ComponentChildren) {
  await act(() => { render(section, root); });
}
