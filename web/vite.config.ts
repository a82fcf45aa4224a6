import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Vite sees `new Worker(new URL(…))` only where no comment stands in between, as Neuroglancer has it. */
const bareWorkers: Plugin = {
  name: "bare-workers",
  enforce: "pre",
  transform: (code) =>
    code.includes("webpackChunkName") ? code.replace(/\/\* webpackChunkName.*?\*\//gs, "") : undefined,
};

export default defineConfig({
  // Relative addresses work below any prefix that a proxy puts in front.
  base: "",
  publicDir: false,
  plugins: [bareWorkers],
  resolve: {
    alias: [
      // Neuroglancer asks for icons that the released ikonate does not have.
      { find: /^ikonate\/icons\/(code-alt|controls-alt|layers)\.svg/, replacement: here("src/icons/$1.svg") },
    ],
  },
  worker: { format: "es", plugins: () => [bareWorkers] },
  build: {
    target: "esnext",
    outDir: here("../bfly/web"),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 8000,
    rollupOptions: {
      input: {
        index: here("index.html"),
        neuroglancer: here("ng/index.html"),
        neuron: here("neuron.html"),
        sections: here("sections.html"),
      },
    },
  },
});
