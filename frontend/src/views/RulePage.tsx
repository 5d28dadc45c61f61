import { sections } from "../model/text";
import { Linked } from "./Text";

/** The page of a rule: what it means, why it is slow, what to change, when this is wrong, and its sources. */
export function RulePage({ text }: { text: string }) {
  return (
    <>
      {sections(text).map(({ heading, paragraphs }) => (
        <>
          {heading && <h4>{heading}</h4>}
          {paragraphs.map((paragraph) => <p><Linked text={paragraph} /></p>)}
        </>
      ))}
    </>
  );
}
