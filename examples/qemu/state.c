/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Migration. */
#include "qemu/osdep.h"
#include "device.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "migration/qemu-file-types.h"

#define BLOB_MAX (16 * MiB)

static int pre_save(void *opaque)
{
	VSMMUv3 *s = opaque;
	int64_t size = s->library.save(s->vsmmu, NULL, 0);

	if (size <= 0 || size > BLOB_MAX) {
		error_report("vsmmuv3: no state to save");
		return -EINVAL;
	}
	g_free(s->blob);
	s->blob = g_malloc0(size);
	s->blob_size = s->library.save(s->vsmmu, s->blob, size);
	return 0;
}

static int post_load(void *opaque, int version)
{
	VSMMUv3 *s = opaque;
	char text[256];
	int32_t error = s->library.restore(s->vsmmu, s->blob, s->blob_size);

	if (error) {
		error_report("vsmmuv3: %s", vsmmuv3_sentence(s, text, sizeof(text)));
	}
	g_clear_pointer(&s->blob, g_free);
	return error;
}

/*
 * The size and the bytes, read and written here: what a field's size_offset means to QEMU changed
 * between 11.1.1 and 11.1.2, so a field that uses it fits one of them only.
 */
static int get_blob(QEMUFile *file, void *device, size_t size, const VMStateField *field)
{
	VSMMUv3 *s = device;

	s->blob_size = qemu_get_be32(file);
	if (s->blob_size > BLOB_MAX) {
		return -EINVAL;
	}
	g_free(s->blob);
	s->blob = g_malloc0(s->blob_size);
	return qemu_get_buffer(file, s->blob, s->blob_size) == s->blob_size ? 0 : -EIO;
}

static int put_blob(QEMUFile *file, void *device, size_t size, const VMStateField *field,
		    JSONWriter *description)
{
	VSMMUv3 *s = device;

	qemu_put_be32(file, s->blob_size);
	qemu_put_buffer(file, s->blob, s->blob_size);
	return 0;
}

static const VMStateInfo blob = {
	.name = "vsmmuv3-state",
	.get = get_blob,
	.put = put_blob,
};

const VMStateDescription vsmmuv3_vmstate = {
	.name = TYPE_VSMMUV3,
	.version_id = 1,
	.minimum_version_id = 1,
	.priority = MIG_PRI_IOMMU,
	.pre_save = pre_save,
	.post_load = post_load,
	.fields = (const VMStateField[]){
		{
			.name = "state",
			.version_id = 1,
			.info = &blob,
			.flags = VMS_SINGLE,
			.size = sizeof(VSMMUv3),
		},
		VMSTATE_END_OF_LIST()
	},
};
