// The x64 layouts that a driver shares with the kernel. The headers are not Microsoft's, so the build checks them.
#pragma once

#define AT(type, field, offset) _Static_assert(FIELD_OFFSET(type, field) == (offset), #type "." #field)
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)

AT(DRIVER_OBJECT, DriverStart, 0x18);
AT(DRIVER_OBJECT, DriverExtension, 0x30);
AT(DRIVER_OBJECT, DriverUnload, 0x68);
AT(DRIVER_OBJECT, MajorFunction, 0x70);
SIZE(DRIVER_OBJECT, 0x150);
AT(DRIVER_EXTENSION, AddDevice, 0x08);

AT(DEVICE_OBJECT, NextDevice, 0x10);
AT(DEVICE_OBJECT, Flags, 0x30);
AT(DEVICE_OBJECT, DeviceExtension, 0x40);
AT(DEVICE_OBJECT, StackSize, 0x4C);

AT(IRP, AssociatedIrp, 0x18);
AT(IRP, IoStatus, 0x30);
AT(IRP, RequestorMode, 0x40);
AT(IRP, PendingReturned, 0x41);
AT(IRP, Cancel, 0x44);
AT(IRP, CancelIrql, 0x45);
AT(IRP, CancelRoutine, 0x68);
AT(IRP, UserBuffer, 0x70);
AT(IRP, Tail.Overlay.ListEntry, 0xA8);
AT(IRP, Tail.Overlay.CurrentStackLocation, 0xB8);
SIZE(IRP, 0xD0);

AT(IO_STACK_LOCATION, Parameters.Read.Length, 0x08);
AT(IO_STACK_LOCATION, Parameters.Read.ByteOffset, 0x18);
AT(IO_STACK_LOCATION, Parameters.DeviceIoControl.OutputBufferLength, 0x08);
AT(IO_STACK_LOCATION, Parameters.DeviceIoControl.InputBufferLength, 0x10);
AT(IO_STACK_LOCATION, Parameters.DeviceIoControl.IoControlCode, 0x18);
AT(IO_STACK_LOCATION, Parameters.StartDevice.AllocatedResourcesTranslated, 0x10);
AT(IO_STACK_LOCATION, Parameters.Power.Type, 0x10);
AT(IO_STACK_LOCATION, Parameters.Power.State, 0x18);
AT(IO_STACK_LOCATION, DeviceObject, 0x28);
AT(IO_STACK_LOCATION, FileObject, 0x30);
AT(IO_STACK_LOCATION, CompletionRoutine, 0x38);
SIZE(IO_STACK_LOCATION, 0x48);

AT(CM_RESOURCE_LIST, List[0].PartialResourceList.PartialDescriptors, 0x14);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u, 0x04);
AT(CM_PARTIAL_RESOURCE_DESCRIPTOR, u.Interrupt.Affinity, 0x0C);
SIZE(CM_PARTIAL_RESOURCE_DESCRIPTOR, 0x14);

SIZE(KDPC, 0x40);
SIZE(KTIMER, 0x40);
SIZE(KEVENT, 0x18);
SIZE(KMUTEX, 0x38);
SIZE(FAST_MUTEX, 0x38);
SIZE(KAPC, 0x58);
SIZE(WORK_QUEUE_ITEM, 0x20);

#undef AT
#undef SIZE
