/** What Python and the panel are both tested against (tests/golden/make_report.py). The one place that knows where it is. */
import comparisonFile from "../../tests/golden/comparison.json";
import report from "../../tests/golden/report.json";
import workersFile from "../../tests/golden/workers.json";
import type { Report } from "../src/model/wire";
import type { Comparison, Workers } from "../src/model/wireFits";

export function golden(): Report {
  return structuredClone(report) as unknown as Report;
}

export function goldenComparison(): Comparison {
  return structuredClone(comparisonFile) as unknown as Comparison;
}

export function goldenWorkers(): Workers {
  return structuredClone(workersFile) as unknown as Workers;
}
