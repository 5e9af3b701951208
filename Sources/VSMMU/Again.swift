// SPDX-License-Identifier: MIT
// Empty, and the first file of the target: here the compiler puts what it emits again of other
// targets' code and tables. As nothing of this file is needed, the linker drops the lot; in a file
// that is needed it would drop the functions alone.
