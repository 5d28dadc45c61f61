/** The report that Python and the panel are both tested against (tests/golden/make_report.py). The one place that knows where it is. */
import report from "../../tests/golden/report.json";
import type { Report } from "../src/model/wire";

export function golden(): Report {
  return structuredClone(report) as unknown as Report;
}
