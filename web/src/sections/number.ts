/** The value of one voxel. */

/** Read the first number of little-endian bytes; a text, since it may have 64 bits. */
export function firstNumber(bytes: ArrayBuffer, dtype: string): string {
  const view = new DataView(bytes);
  if (dtype === "float32") return String(view.getFloat32(0, true));
  const isSigned = dtype.startsWith("int");
  switch (bytes.byteLength) {
    case 1:
      return String(isSigned ? view.getInt8(0) : view.getUint8(0));
    case 2:
      return String(isSigned ? view.getInt16(0, true) : view.getUint16(0, true));
    case 4:
      return String(isSigned ? view.getInt32(0, true) : view.getUint32(0, true));
    default:
      return String(isSigned ? view.getBigInt64(0, true) : view.getBigUint64(0, true));
  }
}
