"use strict";
// A click on a title sorts the rows by its column; a second click turns them round. Rows without a value stay last.
for (const head of document.querySelectorAll("table.sortable thead")) {
  head.addEventListener("click", event => {
    const title = event.target.closest("th");
    if (!title) return;
    const sign = title.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.rows[0].cells) other.setAttribute("aria-sort", "none");
    title.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const isNumber = title.classList.contains("n");
    const value = row => {
      const text = row.cells[title.cellIndex].textContent.trim();
      return isNumber ? parseFloat(text.replaceAll(",", "")) : text;
    };
    const body = head.parentElement.tBodies[0];
    const rows = Array.from(body.rows, row => [value(row), row]);
    rows.sort(([one], [other]) => {
      if (!isNumber) return sign * one.localeCompare(other, undefined, { numeric: true });
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
      return sign * (one - other);
    });
    body.append(...rows.map(([, row]) => row));
  });
}
// On paper nothing can be unfolded.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([open])")];
  for (const part of unfolded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of unfolded) part.open = false;
});
