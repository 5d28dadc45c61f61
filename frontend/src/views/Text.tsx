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

/** Names of runs come from anywhere: isolated, so that right-to-left ones cannot reorder their surroundings. */
export function Name({ name }: { name: string }) {
  return <bdi>{name === "." ? ". (the log folder itself)" : name}</bdi>;
}
