/** Hands a file to the browser's downloads. */

export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  saveUrl(url, name);
  // The browser has taken hold of it by then.
  setTimeout(() => { URL.revokeObjectURL(url); }, 10_000);
}

export function saveUrl(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

/** Names of runs hold whatever a file system or a user put there. */
export function fileName(run: string, suffix: string): string {
  return `trainspeed-${run}`.replace(/[^A-Za-z0-9._]+/g, "-").slice(0, 80).replace(/[-.]+$/, "") + suffix;
}
