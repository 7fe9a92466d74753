import { everyFileOf } from '../drivers/read.mjs';

export default everyFileOf(10, { name: 'read-files-10', title: 'files of 10 bytes each read whole', order: 62 });
