/**
 * Let Neuroglancer write its state into the address only when no layer is half made.
 *
 * It writes 0.4 s after the first of several changes at the latest, and on a slow machine that is in the
 * middle of a layer's constructor (seen in 2.41.2): the state cannot be read then, and the layer is lost.
 * In a task of its own the writing waits until the layer is made.
 */

import { UrlHashBinding } from "neuroglancer/unstable/ui/url_hash_binding.js";

const write = UrlHashBinding.prototype.setUrlHash;
UrlHashBinding.prototype.setUrlHash = function () {
  setTimeout(() => write.call(this));
};
