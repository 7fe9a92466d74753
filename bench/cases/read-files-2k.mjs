import { everyFileOf } from '../drivers/read.mjs';

export default everyFileOf(2048, { name: 'read-files-2k', title: 'files of 2 KiB each read whole', order: 63 });
