// Files that are dropped anywhere on the page; they wait here until the view that takes them is there.

let waiting = [];

/** The files that were dropped, once. */
export function dropped() {
  const files = waiting;
  waiting = [];
  return files;
}

const carries = (event) => event.dataTransfer?.types.includes("Files");

export function dropping(arrived) {
  const veil = document.getElementById("drop");
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault(); // else the browser would open the file instead of the page
    event.dataTransfer.dropEffect = "copy";
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    veil.hidden = true;
    waiting = [...event.dataTransfer.files];
    if (waiting.length) arrived();
  });
}
