import type { ComponentChildren } from "preact";
import { links, pieces, type Piece } from "../model/text";

function draw(piece: Piece): ComponentChildren {
  if (piece.kind === "code") return <code>{piece.text}</code>;
  if (piece.kind === "link") return <Link url={piece.text}>{piece.text}</Link>;
  return piece.text;
}

/** A sentence with `code` spans, as text nodes. */
export function Sentence({ text }: { text: string }) {
  return <>{pieces(text).map(draw)}</>;
}

/** Plain text whose web addresses can be followed. */
export function Linked({ text }: { text: string }) {
  return (
    <>
      {links(text).map((piece) => (piece.kind === "link" ? draw(piece) : <Sentence text={piece.text} />))}
    </>
  );
}

/** A link out of TensorBoard; anything but http(s) is shown as text. */
export function Link({ url, children }: { url: string; children: ComponentChildren }) {
  if (!/^https?:\/\//.test(url)) return <>{children}</>;
  return (
    <a href={url} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}

/** So much of the end of a long name is always there: runs of a sweep differ there. */
const END = 16;

/** A name that is cut in the middle where there is no room for it (style.css). Its letters say where its start is. */
export function CutName({ name }: { name: string }) {
  const letters = Array.from(name);
  if (letters.length <= 2 * END) return <Name name={name} />;
  return (
    <bdi class="cut">
      <span>{letters.slice(0, -END).join("")}</span>
      <span>{letters.slice(-END).join("")}</span>
    </bdi>
  );
}

/** Names of runs come from anywhere: isolated, so that right-to-left ones cannot reorder their surroundings. */
export function Name({ name }: { name: string }) {
  return <bdi>{name === "." ? ". (the log folder itself)" : name}</bdi>;
}
