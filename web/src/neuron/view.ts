/** A view of a mesh in 3-D, which is turned with the mouse, fingers, or keys. */

import {
  AmbientLight,
  Box3,
  BufferAttribute,
  BufferGeometry,
  Color,
  DirectionalLight,
  DoubleSide,
  Group,
  Mesh,
  MeshLambertMaterial,
  PerspectiveCamera,
  Scene,
  Sphere,
  Spherical,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import type { Fragment } from "./mesh";

const FIELD = 35;
const TURN = Math.PI / 18;
const ZOOM = 1.2;

export class View {
  private readonly renderer = new WebGLRenderer({ antialias: true, alpha: true });
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(FIELD, 1, 1, 1e9);
  private readonly controls = new OrbitControls(this.camera, this.renderer.domElement);
  private readonly shape = new Group();
  private readonly material: MeshLambertMaterial;
  private isHome = true;

  constructor(
    private readonly place: HTMLElement,
    colour: string,
  ) {
    this.material = new MeshLambertMaterial({ color: new Color(colour), side: DoubleSide });
    const light = new DirectionalLight(0xffffff, 2.2);
    light.position.set(-0.4, 0.7, 1);
    light.target.position.set(0, 0, -1);
    this.camera.add(light, light.target);
    this.scene.add(this.camera, this.shape, new AmbientLight(0xffffff, 0.9));
    this.controls.enablePan = false;
    // The wheel scrolls the page until the view has the focus.
    this.controls.enableZoom = false;
    place.addEventListener("focus", () => (this.controls.enableZoom = true));
    place.addEventListener("blur", () => (this.controls.enableZoom = false));
    this.controls.addEventListener("start", () => (this.isHome = false));
    this.controls.addEventListener("change", () => this.draw());
    const { domElement } = this.renderer;
    place.append(domElement);
    new ResizeObserver(() => this.resize()).observe(place);
    place.addEventListener("pointerdown", () => place.focus());
    place.addEventListener("keydown", (event) => this.press(event));
    place.addEventListener("dblclick", () => this.home());
  }

  /** Show a fragment beside those that are shown. */
  add({ vertices, triangles }: Fragment): void {
    if (!triangles.length) return;
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(vertices, 3));
    geometry.setIndex(new BufferAttribute(triangles, 1));
    geometry.computeVertexNormals();
    this.shape.add(new Mesh(geometry, this.material));
    if (this.isHome) this.home();
    else this.draw();
  }

  /** Show a mesh instead of its fragments. */
  replace(fragment: Fragment): void {
    for (const mesh of this.shape.children) (mesh as Mesh).geometry.dispose();
    this.shape.clear();
    this.add(fragment);
  }

  /** Look along z at the whole mesh: x to the right and y downwards, as in sections. */
  private home(): void {
    const { center, radius } = new Box3().setFromObject(this.shape).getBoundingSphere(new Sphere());
    const narrow = Math.min(1, this.camera.aspect);
    const distance = (1.05 * radius) / Math.sin((FIELD * Math.PI) / 360) / narrow;
    this.camera.up.set(0, -1, 0);
    this.camera.position.copy(center).add(new Vector3(0, 0, -distance));
    this.camera.near = distance / 1000;
    this.camera.far = distance * 100;
    this.camera.updateProjectionMatrix();
    this.controls.target.copy(center);
    this.isHome = true;
    this.controls.update();
    this.draw();
  }

  private press(event: KeyboardEvent): void {
    const turn = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const zoom = { "+": 1 / ZOOM, "=": 1 / ZOOM, "-": ZOOM }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Home" || event.key === "0") this.home();
    else if (turn) this.turn(turn[0] as number, turn[1] as number);
    else if (zoom) this.move((offset) => offset.multiplyScalar(zoom));
    else return;
    event.preventDefault();
  }

  private turn(left: number, up: number): void {
    this.move((offset) => {
      // The vertical axis of a sphere is y upwards; here y is downwards.
      const place = new Spherical().setFromVector3(offset.multiplyScalar(-1));
      place.theta += left * TURN;
      place.phi += up * TURN;
      return offset.setFromSpherical(place.makeSafe()).multiplyScalar(-1);
    });
  }

  private move(change: (offset: Vector3) => Vector3): void {
    const { target } = this.controls;
    this.camera.position.copy(change(this.camera.position.clone().sub(target))).add(target);
    this.isHome = false;
    this.controls.update();
    this.draw();
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.place;
    if (!clientWidth || !clientHeight) return;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(clientWidth, clientHeight);
    this.camera.aspect = clientWidth / clientHeight;
    this.camera.updateProjectionMatrix();
    if (this.isHome && this.shape.children.length) this.home();
    else this.draw();
  }

  private draw(): void {
    this.renderer.render(this.scene, this.camera);
    this.place.dataset.triangles = String(this.renderer.info.render.triangles);
  }
}
