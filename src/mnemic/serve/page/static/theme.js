// Before the first paint, so that nobody who chose the dark sees a white flash.
const chosen = localStorage.getItem("mnemic.theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
