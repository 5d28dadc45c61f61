/** A number, and beside it a bar as long as this part of the column's scale. */
export function Share({ text, part, colour = "--compute" }: { text: string; part: number; colour?: string }) {
  return (
    <div>
      <span class="n">{text}</span>
      {part > 0 && <i style={{ width: `${Math.min(1, part) * 100}%`, background: `var(${colour})` }} />}
    </div>
  );
}
