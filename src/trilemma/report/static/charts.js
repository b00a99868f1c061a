// Draws Vega-Lite specifications without eval, without styles of its own and without a menu, as the page's policy asks.
const charts = (() => {
  "use strict";
  const OPTIONS = {
    mode: "vega-lite",
    ast: true,
    actions: false,
    renderer: "svg",
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
  };

  /** Draws a specification with its data sets into an element; an earlier drawing there is replaced. */
  async function draw(element, spec, datasets, patch) {
    element.drawing?.finalize();
    element.drawing = await vegaEmbed(element, { ...spec, datasets }, patch ? { ...OPTIONS, patch } : OPTIONS);
    // The element itself has a name and says where its numbers are; the marks have none.
    element.querySelector("svg").setAttribute("aria-hidden", "true");
    return element.drawing;
  }

  /** Runs what draws; where it fails, the printed figure takes the place of the live ones. */
  async function guarded(holder, work) {
    try {
      await work();
    } catch (error) {
      holder.classList.add("broken");
      console.error(error);
    }
  }

  return { draw, guarded };
})();
